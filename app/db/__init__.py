"""The database: tables, migrations, row-level security policies, statements and loaders."""
