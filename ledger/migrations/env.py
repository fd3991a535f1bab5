"""Alembic's entry: runs on the connection that ledger/migrate.py hands over."""

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table="daogou_migration",
    version_table_schema="public",
    transactional_ddl=True,
    transaction_per_migration=True,  # what one has locked is let go before the next begins
)
with context.begin_transaction():
    context.run_migrations()
