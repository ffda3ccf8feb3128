"""Turnup's domain model and rules: values and pure functions over them, without I/O."""
