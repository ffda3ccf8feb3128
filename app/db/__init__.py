"""The database room: tables, migrations, policies, every statement, and the loaders of a reading."""
