"""The GraphQL API: types, inputs, enums, problems, queries and mutations, and the steps that answer a request."""
