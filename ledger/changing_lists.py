"""Lists change during the day: items come on them (claimed, unclaimed at the cut-off, of who is absent), or go to others.

An item is on one list a day; whoever changes lists has the zone's or the store's turn (`ledger.zone_days`), and the guides'
days are locked before anything is decided on how they stand, and before the items: who closes a day locks in that order. A handful of round trips whatever the number of guides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.events import Event, ListExtended, ListPublished, ListShortened
from ledger.door import Driver
from ledger.due_items import Holds
from ledger.ledger import Command, guide_day_stream, record


@dataclass(frozen=True, slots=True)
class DayHours:
    """A day of a time zone: what a list that begins during it is told with."""

    day: date
    time_zone: str
    opens_at: datetime
    closes_at: datetime


async def extend_lists(
    connection: Driver,
    tenant_id: int,
    command: Command,
    hours: DayHours,
    *,
    more: Mapping[UUID, Sequence[UUID]],
    why: str,
    holds: Holds,
    before: UUID | None = None,
) -> dict[UUID, list[UUID]]:
    """Put items at the end of guides' lists; a guide without one gets one, which is published at once.

    A list that is cut and not published is a draft: what comes on it will be told when it is published.

    Args:
        connection: of the ledger, in a transaction that has its turn.
        tenant_id: the brand.
        command: the command; done before, nothing changes.
        hours: of the day.
        more: items by guide, in order. What is a guide's whose day is closed by now comes on no list: it stays due.
        why: a code.
        holds: the targets of lists that begin now.
        before: on whose list the items are; they go from it in the statement that puts them on the others, so that an item
            is at no moment on two lists or none. None: they are on no list of the day yet.

    Returns:
        What came on whose list, in order. Nothing where the command was done before or the list they are on is closed.
    """
    guides = sorted(guide for guide, tasks in more.items() if tasks)
    if not guides:
        return {}
    new = await _begin(connection, tenant_id, hours, guides, holds)
    leaving = [] if before is None else [before]
    days = await _locked_days(connection, tenant_id, hours.day, [*leaving, *guides])
    guides = [guide for guide in guides if days[guide].state != "closed"]
    if not guides or (before is not None and days[before].state == "closed"):
        return {}
    events: list[tuple[str, Event]] = []
    going = tuple(task for guide in guides for task in more[guide])
    if before is not None and days[before].state == "published":
        events.append((guide_day_stream(before, hours.day), ListShortened(tasks=going, why=why)))
    for guide in guides:
        tasks, standing = tuple(more[guide]), days[guide]
        stream = guide_day_stream(guide, hours.day)
        if guide in new:
            published = ListPublished(
                guide=guide,
                business_date=hours.day,
                tasks=tasks,
                time_zone=hours.time_zone,
                opens_at=hours.opens_at,
                closes_at=hours.closes_at,
                target_calls=standing.target_calls,
                target_invitations=standing.target_invitations,
            )
            events.append((stream, published))
        elif standing.state == "published":
            events.append((stream, ListExtended(tasks=tasks, first_rank=standing.last + 1, why=why)))
    if events and (await record(connection, tenant_id, command, events)).duplicate:
        return {}
    rows = [
        (guide, rank, task) for guide in guides for rank, task in enumerate(more[guide], days[guide].last + 1)
    ]
    await connection.execute(
        _INSERT if before is None else _MOVE,
        tenant_id,
        hours.day,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        *leaving,
    )
    if before is not None and days[before].state == "cut":
        # What a draft holds is told in its order when it is published or closed, so its ranks leave none out.
        await connection.execute(_CLOSE_UP, tenant_id, hours.day, before)
        await connection.execute(_TURN, tenant_id, hours.day, before)
    changed = {guide: len(more[guide]) for guide in guides} | dict.fromkeys(leaving, -len(going))
    await connection.execute(
        """
        UPDATE guide_day d SET listed = d.listed + n.more, state = CASE WHEN n.new THEN 'published' ELSE d.state END,
               published_at = CASE WHEN n.new THEN $6 ELSE d.published_at END,
               clocked_in_at = CASE WHEN n.new THEN (SELECT occurred_at FROM event e WHERE e.tenant_id = $1
                   AND e.type = 'clocked_in' AND e.stream = 'guide-day/' || d.guide_id || '/' || d.business_date)
                   ELSE d.clocked_in_at END
        FROM unnest($3::uuid[], $4::int[], $5::bool[]) AS n(guide_id, more, new)
        WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.guide_id = n.guide_id""",
        tenant_id,
        hours.day,
        list(changed),
        list(changed.values()),
        [guide in new for guide in changed],
        command.occurred_at,
    )
    return {guide: list(more[guide]) for guide in guides}


_INSERT = """
INSERT INTO list_item (tenant_id, guide_id, business_date, rank, task_id)
SELECT $1, n.guide_id, $2, n.rank, n.task_id FROM unnest($3::uuid[], $4::int[], $5::uuid[]) AS n(guide_id, rank, task_id)"""
_MOVE = """
UPDATE list_item i SET guide_id = n.guide_id, rank = n.rank
FROM unnest($3::uuid[], $4::int[], $5::uuid[]) AS n(guide_id, rank, task_id)
WHERE i.tenant_id = $1 AND i.business_date = $2 AND i.guide_id = $6 AND i.task_id = n.task_id"""

# By way of negative ranks: a key that is not deferred is held against every row as it is written.
_CLOSE_UP = """
UPDATE list_item i SET rank = -n.rank FROM (
    SELECT task_id, row_number() OVER (ORDER BY rank) AS rank FROM list_item
    WHERE tenant_id = $1 AND business_date = $2 AND guide_id = $3) n
WHERE i.tenant_id = $1 AND i.business_date = $2 AND i.task_id = n.task_id"""
_TURN = "UPDATE list_item SET rank = -rank WHERE tenant_id = $1 AND business_date = $2 AND guide_id = $3"


@dataclass(frozen=True, slots=True)
class _Standing:
    state: str
    last: int
    """The last rank on the list."""
    target_calls: int | None
    target_invitations: int | None


async def _begin(
    connection: Driver, tenant_id: int, hours: DayHours, guides: Sequence[UUID], holds: Holds
) -> set[UUID]:
    """Begin the days of guides who have none; answers who they are."""
    target = holds.target or holds.capacity
    begun = await connection.fetch(
        "INSERT INTO guide_day (tenant_id, guide_id, business_date, time_zone, state, listed, opens_at, closes_at,"
        " target_calls, target_invitations)"
        " SELECT $1, n.guide_id, $2, $3, 'cut', 0, $4, $5, $6, n.invitations"
        " FROM unnest($7::uuid[], $8::int[]) AS n(guide_id, invitations) ON CONFLICT DO NOTHING RETURNING guide_id",
        tenant_id,
        hours.day,
        hours.time_zone,
        hours.opens_at,
        hours.closes_at,
        target.calls,
        list(guides),
        [holds.target_invitations.get(guide, target.invitations) for guide in guides],
    )
    return {row["guide_id"] for row in begun}


async def _locked_days(
    connection: Driver, tenant_id: int, day: date, guides: Sequence[UUID]
) -> dict[UUID, _Standing]:
    """How these guides' days stand, locked in the order of ids."""
    await connection.execute(
        "SELECT FROM guide_day WHERE tenant_id = $1 AND business_date = $2 AND guide_id = ANY($3)"
        " ORDER BY guide_id FOR UPDATE",
        tenant_id,
        day,
        list(guides),
    )
    rows = await connection.fetch(
        """
        SELECT d.guide_id, d.state, d.target_calls, d.target_invitations, coalesce((SELECT max(i.rank) FROM list_item i WHERE i.tenant_id = $1
            AND i.guide_id = d.guide_id AND i.business_date = $2), 0) AS last
        FROM guide_day d WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.guide_id = ANY($3)""",
        tenant_id,
        day,
        list(guides),
    )
    return {row["guide_id"]: _Standing(**{key: row[key] for key in _Standing.__slots__}) for row in rows}
