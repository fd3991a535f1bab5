"""Runs a migration that is written as SQL."""

from sqlalchemy import Connection


def run_script(connection: Connection, script: str) -> None:
    """Run a script of several statements in the transaction of `connection`.

    The asyncpg dialect prepares what it executes and a prepared statement holds one command, so the
    script goes to the driver itself.
    """
    connection.exec_driver_sql("SELECT 1")  # opens the transaction on the driver's connection
    adapted = connection.connection.dbapi_connection
    if adapted is None:
        raise ConnectionError("the connection was closed before the migration ran")
    adapted.run_async(lambda driver: driver.execute(script))
