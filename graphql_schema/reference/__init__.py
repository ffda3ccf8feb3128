"""The API reference: one page made from the built schema, the permission matrix, and examples that a test runs."""
