"""Use cases, one verb a file; each owns one transaction."""
