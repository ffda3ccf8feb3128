"""Who is calling: a bearer token becomes verified claims; what the caller may do is decided elsewhere."""
