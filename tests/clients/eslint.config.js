// The rules of graphql-eslint for schema.graphql: all that it recommends for schemas, and all for Relay, but for these.

import graphql from "@graphql-eslint/eslint-plugin";

const EXCEPTIONS = {
  // Only objects that `node` fetches have an id. What is part of another object, such as an address, a problem or a
  // page, is stored by clients in its parent; docs/clients.md lists these types.
  "@graphql-eslint/strict-id-in-types": "off",
  // A list that is always complete, because its length has a maximum, is a plain list and no connection. The changes of
  // an audit entry come in pages, and are part of the entry: they have no id.
  "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false }],
  // Connections are read forwards: `orderBy` has a direction, which serves in place of `last` and `before`.
  "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
};

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: "schema.graphql" } } },
    plugins: { "@graphql-eslint": graphql },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      ...graphql.configs["flat/schema-recommended"].rules,
      ...graphql.configs["flat/schema-relay"].rules,
      ...EXCEPTIONS,
    },
  },
];
