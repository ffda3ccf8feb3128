"""The embedded PostgreSQL: its binaries, the process that supervises it, and the roles of a database."""
