"""What a migration does outside a transaction, so that nobody who writes meanwhile waits for it: decision 10."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text


class Migrating(Protocol):
    """What a migration works with: `alembic.op`, or its like."""

    def get_context(self) -> MigrationContext:
        """How it migrates."""

    def get_bind(self) -> Connection:
        """Where."""


_SETTINGS = ("ROLE", "search_path", "lock_timeout", "statement_timeout")


def build_index(op: Migrating, name: str, on: str, *, unique: bool = False) -> None:
    """Build an index of a table that was there before, which is read and written meanwhile.

    It takes as long as it takes and waits for whoever has the table in a transaction; nobody waits for it. What one
    that was killed left behind is dropped first, so it may run again. `event` is partitioned: see the decision.

    Args:
        op: Alembic's.
        name: of the index.
        on: table, columns and condition: `check_in (tenant_id, next_on) WHERE next_on IS NOT NULL`.
        unique: whether no two rows may be alike in it.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    with _outside(op) as connection:
        left = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
        if connection.execute(left, {"name": name}).scalar():
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
        connection.exec_driver_sql(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}")


def in_batches(op: Migrating, statement: str) -> None:
    """Run a statement that changes some rows that are still to be changed until there are none, each time by itself.

    Rows are held for one batch only. Killed, it goes on where it was when it runs again.

    Args:
        op: Alembic's.
        statement: it limits itself: `UPDATE … WHERE task_id IN (SELECT task_id FROM task WHERE … LIMIT 5000)`.
    """
    with _outside(op) as connection:
        while connection.exec_driver_sql(statement).rowcount:
            pass


@contextmanager
def _outside(op: Migrating) -> Iterator[Connection]:
    """The owner's connection, where each statement is a transaction; what the migration did before has committed."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.exec_driver_sql("SET ROLE daogou_owner")
        connection.exec_driver_sql("SET search_path = daogou")
        connection.exec_driver_sql("SET lock_timeout = 0")
        connection.exec_driver_sql("SET statement_timeout = 0")
        try:
            yield connection
        finally:
            for name in _SETTINGS:
                connection.exec_driver_sql(f"RESET {name}")
