"""Permissions: the policy matrix, and the guards that apply it to the fields of the schema."""
