"""The embedded PostgreSQL: its binaries, its supervisor process, and the roles of a database."""
