"""Many clients at once, two to an item, retrying with the same and with fresh keys, while days close under them.

Each item is reported by two phones at the same moment: one sends its report twice under one key, as a phone does that heard
nothing, the other sends it under a key of its own; whoever is told that the service is busy asks again. Guides' days are
closed meanwhile, between one request's read and its write as well as not. Afterwards every item must have exactly one
check-in, the one that was acknowledged, every stream must be gapless and chained, and every row must be what the events
tell.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, replace
from uuid import UUID

from activities.context import Context
from activities.dispatch import DispatchActivities
from bench.brand import DAY, at, guide_id
from bench.ledger.load import Line, Report, open_lines
from bench.ledger.stand import Stand
from domain.messages import GuideDayStep
from ledger.folding.comparing import Difference, differences
from ledger.verify import verify

BUSY = 503
TRIES = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What a phone was told of its report."""

    task_id: UUID
    status: int
    version: int | None
    """Of the item's stream, where it was taken."""


@dataclass(frozen=True, slots=True)
class Stormed:
    """What came of it."""

    items: int
    statuses: Counter[int]
    days_closed: int
    late: int
    """Check-ins that were taken after their day had closed."""
    faults: tuple[str, ...]


async def storm(stand: Stand, port: int, *, clients: int, rounds: int) -> Stormed:
    """Send, close, judge.

    Args:
        stand: with at least `clients` // 2 * `rounds` items left.
        port: of the API.
        clients: connections; every other one reports the same item as the one before it.
        rounds: items one after the other on each connection.
    """
    pairs = clients // 2
    reports = stand.take(pairs * rounds)
    lines = await open_lines(port, clients)
    guides = sorted({report.guide for report in reports})
    reported = asyncio.Semaphore(0)
    closing = asyncio.create_task(_close_days(stand, guides, reported, len(reports) // len(guides)))
    told = await asyncio.gather(
        *(
            _report(port, lines[2 * pair : 2 * pair + 2], reports[pair::pairs], reported)
            for pair in range(pairs)
        )
    )
    closed = await closing
    for line in lines:
        line.close()
    answers = [answer for each in told for answer in each]
    late, faults = await _judge(stand, answers)
    return Stormed(len(reports), Counter(answer.status for answer in answers), closed, late, faults)


async def _report(
    port: int, lines: list[Line], reports: list[Report], reported: asyncio.Semaphore
) -> list[Answer]:
    """One pair of phones: the same items at the same moments."""
    found: list[list[Answer]] = []
    for report in reports:
        other = replace(report, key=f"{report.key}-other", outcome="refused")
        found += await asyncio.gather(
            _twice(port, lines[0], report),
            _once(port, lines[1], other),
        )
        reported.release()
    return [answer for one in found for answer in one]


async def _once(port: int, line: Line, report: Report) -> list[Answer]:
    for _ in range(TRIES):
        status, body = await line.ask(report.request(port))
        if status != BUSY:
            version = json.loads(body)["version"] if status in {200, 201} else None
            return [Answer(report.task_id, status, version)]
    return [Answer(report.task_id, BUSY, None)]


async def _twice(port: int, line: Line, report: Report) -> list[Answer]:
    return [*await _once(port, line, report), *await _once(port, line, report)]


async def _close_days(stand: Stand, guides: list[str], reported: asyncio.Semaphore, each: int) -> int:
    """Close a guide's day whenever so many more items were reported, so that the last closes with the last."""
    dispatch = DispatchActivities(Context(stand.worker, lambda: at(10)))
    for code in guides:
        for _ in range(each):
            await reported.acquire()
        await dispatch.close_day(GuideDayStep(guide_id=guide_id(code), day=DAY, at=at(10), rehearsal=True))
    return len(guides)


async def _judge(stand: Stand, answers: list[Answer]) -> tuple[int, tuple[str, ...]]:
    faults = []
    taken: dict[UUID, set[int]] = {}
    for answer in answers:
        if answer.status not in {200, 201, 409}:
            faults.append(f"item {answer.task_id} was answered {answer.status}")
        if answer.version is not None:
            taken.setdefault(answer.task_id, set()).add(answer.version)
    async with stand.worker.connection() as connection:
        rows = await connection.fetch(
            "SELECT substr(stream, 6)::uuid AS task_id, array_agg(version ORDER BY version) AS versions,"
            " array_agg(version) FILTER (WHERE type = 'checked_in') AS checked_in,"
            " count(*) FILTER (WHERE (payload->>'late')::boolean) AS late"
            " FROM event WHERE tenant_id = 1 AND stream = ANY($1) GROUP BY 1",
            [f"task/{task}" for task in {answer.task_id for answer in answers}],
        )
        for row in rows:
            if list(row["versions"]) != list(range(1, len(row["versions"]) + 1)):
                faults.append(f"item {row['task_id']} has the versions {row['versions']}")
            if set(row["checked_in"] or ()) != taken.get(row["task_id"]) or len(row["checked_in"]) != 1:
                faults.append(
                    f"item {row['task_id']} has check-ins {row['checked_in']}, acknowledged were"
                    f" {taken.get(row['task_id'])}"
                )
        verified = await verify(connection, 1)
        faults += [str(one) for one in verified.differences]
        async with connection.transaction(isolation="repeatable_read"):
            faults += [_said(one) async for one in differences(connection, 1)]
    return sum(row["late"] for row in rows), tuple(faults)


def _said(one: Difference) -> str:
    return f"{one.table} of {one.stream} is not as its events tell: {one.kind} {one.columns}"
