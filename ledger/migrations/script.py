"""Runs a migration that is written as SQL."""

from sqlalchemy import Connection


def run_script(connection: Connection, script: str, *, unhurried: bool = False) -> None:
    """Run a script of several statements in the transaction of `connection`.

    The asyncpg dialect prepares what it executes and a prepared statement holds one command, so the
    script goes to the driver itself.

    Args:
        connection: Alembic's.
        script: the statements.
        unhurried: it may take as long as it takes, and others wait for it: only what was released before decision 10.
    """
    # The first statement also opens the transaction on the driver's connection.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0" if unhurried else "SELECT 1")
    adapted = connection.connection.dbapi_connection
    if adapted is None:
        raise ConnectionError("the connection was closed before the migration ran")
    adapted.run_async(lambda driver: driver.execute(script))
