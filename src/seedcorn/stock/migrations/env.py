"""Alembic runs this: migrate over the connection, and in the transaction, that the caller has open."""

from alembic import context

from seedcorn.stock.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
