"""From a GraphQL call to one call below. Resolvers return rows and values; the schema's annotations name the types."""
