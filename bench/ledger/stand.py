"""The stand of the benchmarks: a database of its own with a brand whose guides have full lists, on the private server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.engine import make_url

from activities.sessions import digest
from bench.administering import administer
from bench.brand import BrandSize, at, guide_id, import_brand, issue_guide_token, launch_plan, open_the_day
from bench.ledger.load import Report, Statement
from domain.check_in import CheckIn, Outcome
from infra.databases import DatabaseUrls, provide_embedded
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import open_keys
from infra.settings import Settings
from ledger.asking import Asker
from ledger.database import API, connection_settings, driver_connection, open_database
from ledger.gathering import Told, look_together, take_together
from ledger.ledger import Ledger

OUTCOMES: tuple[Outcome, ...] = ("interested", "no_answer", "refused", "interested", "came", "unreachable")
"""Reached two times in three."""


@dataclass
class Stand:
    """The database, who asks of it, and the reports that were not sent yet."""

    urls: DatabaseUrls
    home: Path
    worker: Ledger
    api: Ledger
    reports: list[Report]

    def take(self, count: int) -> list[Report]:
        """The next reports; each is sent once.

        Raises:
            SystemExit: there are not as many left.
        """
        if len(self.reports) < count:
            raise SystemExit(
                f"{len(self.reports)} items are left where {count} are needed: make the brand bigger"
            )
        taken, self.reports = self.reports[:count], self.reports[count:]
        return taken


@asynccontextmanager
async def standing(
    server: EmbeddedPostgres, address: PostgresAddress, home: Path, size: BrandSize, *, name: str
) -> AsyncIterator[Stand]:
    """Make the brand in a fresh database, and drop it at the end."""
    urls = await provide_embedded(server, address, name, fresh=True)
    keys = open_keys(Settings(home=home))
    worker = open_database(urls.worker, tenant_id=1, pool_size=4)
    api = open_database(urls.api, tenant_id=1, pool_size=4, role=API)
    try:
        ledger = Ledger(worker, 1, keys=keys)
        await import_brand(ledger, size)
        await launch_plan(ledger, size)
        await open_the_day(ledger, size.guide_codes)
        tokens = {code: await issue_guide_token(ledger, code) for code in size.guide_codes}
        async with driver_connection(worker) as connection:
            listed = {
                code: await connection.fetch(
                    "SELECT task_id FROM list_item WHERE tenant_id = 1 AND guide_id = $1 ORDER BY rank",
                    guide_id(code),
                )
                for code in tokens
            }
        await administer(make_url(urls.admin), "VACUUM ANALYZE")
        # Guides work beside each other: the first item of each, then the second of each.
        rounds = zip(
            *([(code, row["task_id"]) for row in rows] for code, rows in listed.items()), strict=True
        )
        reports = [
            Report(UUID(str(task)), code, tokens[code], OUTCOMES[number % len(OUTCOMES)], f"bench-{number}")
            for number, (code, task) in enumerate(chain.from_iterable(rounds))
        ]
        yield Stand(urls, home, ledger, Ledger(api, 1, keys=keys), reports)
    finally:
        await worker.dispose()
        await api.dispose()
        await administer(make_url(address.url("postgres")), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class Recorder:
    """Stands in for the driver's connection: what reads is done and noted, what writes is noted alone."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.statements: list[Statement] = []

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Read, and note it."""
        self.statements.append(Statement("fetch", query, arguments))
        rows: list[asyncpg.Record] = await self._connection.fetch(query, *arguments)
        return rows

    async def fetchval(self, query: str, *arguments: Any) -> list[str]:
        """Note it, and say that all were taken."""
        self.statements.append(Statement("fetchval", query, arguments))
        return [""] * len(arguments[0])


async def bare_statements(stand: Stand, reports: list[Report], together: int) -> list[tuple[Statement, ...]]:
    """What the product sends for these reports where so many wait at once, ready to be sent by something else."""
    found = []
    async with driver_connection(stand.api.engine) as connection:
        for first in range(0, len(reports), together):
            told = [_told(report) for report in reports[first : first + together]]
            recorder: Any = Recorder(connection)
            rows = await look_together(recorder, told)
            taken = await take_together(recorder, stand.api, told, rows)
            if len(taken) != len(told):
                raise SystemExit("a check-in was not in order: nothing would be measured")
            found.append(tuple(recorder.statements))
    return found


def _told(report: Report) -> Told:
    """A report as the API takes it."""

    def admitted(asker: Asker) -> CheckIn:
        return CheckIn(
            command_id=f"check-in/{asker.account_id}/{report.key}",
            task_id=report.task_id,
            performed_by=guide_id(report.guide),
            actor=asker.actor,
            occurred_at=at(10),
            known_at=at(10),
            channel="phone",
            outcome=report.outcome,
        )

    return Told(
        shown=digest(report.token),
        key=report.key,
        task_id=report.task_id,
        at=at(10),
        occurred_at=at(10),
        products=(),
        admitted=admitted,
    )


def api_settings() -> dict[str, str]:
    """What a connection of the API's pool is told when it connects."""
    return connection_settings(tenant_id=1, role=API)
