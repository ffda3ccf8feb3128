"""Resolvers. Each makes one call to the layers below and returns rows or values; the schema declares the types."""
