"""One check-in as a durable workflow of one step, in a library that keeps its state in PostgreSQL alone (dbos).

In a process of its own: its workflows are plain functions on a pool of threads, which served it better here than coroutines;
the step writes one row through psycopg in a transaction of its own, in the same PostgreSQL, fsync on. Installed for the
benchmark only (requirements/bench.txt).
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, process_time
from typing import Any

from bench.ledger.load import Ran

WARM = 20


def run_workflows(url: str, count: int, at_once: int) -> Ran:
    """Run so many workflows, `at_once` in flight; connections are warm before the clock starts."""
    import psycopg  # noqa: PLC0415 - installed for the benchmark only
    from dbos import DBOS  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS recorded (item integer, outcome text, known_at timestamptz)"
        )
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "sys_db_pool_size": at_once,
            "db_engine_kwargs": {"pool_size": at_once, "max_overflow": 0, "pool_pre_ping": False},
            "log_level": "ERROR",
        }
    )
    own = threading.local()

    @DBOS.step()
    def record(item: int) -> int:
        connection: Any = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = psycopg.connect(url, autocommit=True)
        connection.execute("INSERT INTO recorded VALUES (%s, 'interested', now())", (item,))
        return item

    @DBOS.workflow()
    def check_in(item: int) -> int:
        return record(item)

    DBOS.launch()
    times: list[float] = []

    def one(item: int) -> None:
        began = perf_counter()
        check_in(item)
        times.append(perf_counter() - began)

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(one, range(WARM)))
        times.clear()
        began, used = perf_counter(), process_time()
        list(threads.map(one, range(count)))
        spent, used = perf_counter() - began, process_time() - used
    DBOS.destroy()
    return Ran(count, spent, tuple(times), used)
