"""The introspection that clients send: the standard query in the forms of each tool, and queries of single types."""

from graphql import get_introspection_query

STANDARD = get_introspection_query()
LATEST = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    experimental_directive_deprecation=True,
    one_of=True,
)
_TYPE_REF = "kind name " + "ofType { kind name " * 7 + "}" * 7
_CAPABILITIES = """
query {
  schema: __type(name: "__Schema") { ...Fields }
  type: __type(name: "__Type") { ...Fields }
  field: __type(name: "__Field") { ...Fields }
  directive: __type(name: "__Directive") { ...Fields }
  inputValue: __type(name: "__InputValue") { ...Fields }
}
fragment Fields on __Type { name fields { name args { name } } }
"""

TOOLS: dict[str, str] = {
    "graphql-js": STANDARD,
    "graphql-js without descriptions": get_introspection_query(descriptions=False),
    "graphql-js with every option": LATEST,
    "graphql-js with shallow types": get_introspection_query(type_depth=3),
    "graphql-js with the deepest types": get_introspection_query(type_depth=10),
    "GraphiQL": get_introspection_query(
        schema_description=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    ),
    "GraphiQL for servers without subscriptions": STANDARD.replace("subscriptionType { name kind }", ""),
    "GraphQL Playground, Insomnia, Altair": get_introspection_query(type_depth=7),
    "Postman": STANDARD.replace("query IntrospectionQuery", "query").replace("kind }", "kind __typename }"),
    "Apollo Sandbox": get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    ),
    "Rover": f"""
        query GraphIntrospectQuery {{
          __schema {{
            queryType {{ name }} mutationType {{ name }} subscriptionType {{ name }}
            types {{ ...FullType }}
            directives {{ name description isRepeatable locations args {{ ...InputValue }} }}
          }}
        }}
        fragment FullType on __Type {{
          kind name description specifiedByURL
          fields(includeDeprecated: true) {{
            name description args {{ ...InputValue }} type {{ ...TypeRef }} isDeprecated deprecationReason
          }}
          inputFields {{ ...InputValue }}
          interfaces {{ ...TypeRef }}
          enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }}
          possibleTypes {{ ...TypeRef }}
        }}
        fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue }}
        fragment TypeRef on __Type {{ {_TYPE_REF} }}
    """,
    "graphql-codegen": LATEST,
    "relay-compiler by get-graphql-schema": get_introspection_query(descriptions=True, directive_is_repeatable=True),
    "inline fragments": """
        { __schema { __typename ... on __Schema { types { ... on __Type { name } ... { kind fields { name } } } } } }
    """,
    "what the server supports, by single types": _CAPABILITIES,
    "two operations": """
        query Types { __schema { types { name kind } } }
        query Directives { __schema { directives { name locations args { name } } } }
    """,
}
