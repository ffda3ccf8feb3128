"""Alembic's entry: runs migrations on the connection that app.db.migrate opened, or prints them when it has none."""

from contextlib import nullcontext

from alembic import context

from app.db.tables import SCHEMA, metadata

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # a style without an escape for percent signs
        output_buffer=attributes["output"],
        literal_binds=True,
        version_table_schema=SCHEMA,
    )
else:
    context.configure(
        connection=attributes["connection"],
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
    )
with context.begin_transaction(), attributes.get("around", nullcontext)():
    context.run_migrations()
