"""Breadth-first GraphQL execution, knowing graphql-core and Strawberry and nothing of this product."""
