"""Limits on GraphQL documents and the static price of operations, both checked before anything is executed."""
