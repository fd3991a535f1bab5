"""The stand of the benchmarks: a database of its own with a brand whose guides have full lists, on the private server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
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
from ledger.asking import sign_on
from ledger.check_ins import check_in
from ledger.database import API, connection_settings, driver_connection, open_database
from ledger.ledger import Ledger, Lend

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

    async def fetchrow(self, query: str, *arguments: object) -> object:
        """Read, and note it."""
        self.statements.append(Statement("fetchrow", query, arguments))
        return await self._connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: object) -> int:
        """Note it."""
        self.statements.append(Statement("fetchval", query, arguments))
        return 1

    def is_in_transaction(self) -> bool:
        """It is in none."""
        return False


async def bare_statements(stand: Stand, reports: list[Report]) -> list[tuple[Statement, ...]]:
    """What the product sends for each of these reports, as it sends it, ready to be sent by something else."""
    found = []
    async with driver_connection(stand.api.engine) as connection:
        for report in reports:
            recorder = Recorder(connection)
            asker = await sign_on(recorder, digest(report.token), at(10))
            if asker is None:
                raise SystemExit("nobody was signed on: nothing would be measured")
            told = CheckIn(
                command_id=f"check-in/{asker.account_id}/{report.key}",
                task_id=report.task_id,
                performed_by=guide_id(report.guide),
                actor=asker.actor,
                occurred_at=at(10),
                known_at=at(10),
                channel="phone",
                outcome=report.outcome,
            )
            await check_in(replace(stand.api, lend=_lending(recorder)), told)
            found.append(tuple(recorder.statements))
    return found


def _lending(recorder: Recorder) -> Lend:
    @asynccontextmanager
    async def lend() -> AsyncIterator[Any]:
        yield recorder

    return lend


def api_settings() -> dict[str, str]:
    """What a connection of the API's pool is told when it connects."""
    return connection_settings(tenant_id=1, role=API)
