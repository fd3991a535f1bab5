"""An item, the lists it was on, and every event that tells of it and its member in the cycle: three reads, four round trips."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.errors import NotFound, Problem
from ledger.door import Driver
from ledger.timeline import TimelineEntry, with_codes

PLAYBOOK_EVENTS = ("plan_launched", "plan_adjusted")


async def item_in_cycle(connection: Driver, tenant_id: int, task_id: UUID) -> Mapping[str, Any]:
    """The item with its plan's playbook as it stands and its cycle.

    Raises:
        NotFound: no such item, or not the asker's.
    """
    row = await connection.fetchrow(
        """
        SELECT t.task_id, t.plan_id, t.cycle, t.member_id, t.category_id, c.name AS category, t.state, t.reason, t.due_on,
               t.run_out_on, p.spec::text AS spec, y.starts_on, y.ends_on, y.time_zone,
               y.days_per_unit->>t.category_id::text AS segment_rate,
               (y.rhythms->t.category_id::text)::text AS rhythm
        FROM task t JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
        JOIN plan_cycle y ON y.tenant_id = $1 AND y.plan_id = t.plan_id AND y.cycle = t.cycle
        JOIN category c ON c.tenant_id = $1 AND c.category_id = t.category_id
        WHERE t.tenant_id = $1 AND t.task_id = $2""",
        tenant_id,
        task_id,
    )
    if row is None:
        raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
    return dict(row)


async def days_listed(connection: Driver, tenant_id: int, task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every list the item is on: guide, day, rank and how the day stands."""
    # By days too: an item is on lists of its cycle only, and the index begins with the day.
    rows: list[Mapping[str, Any]] = await connection.fetch(
        """
        SELECT i.guide_id, i.business_date AS day, i.rank, d.state FROM list_item i
        JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = i.guide_id AND d.business_date = i.business_date
        WHERE i.tenant_id = $1 AND i.task_id = $2 AND i.business_date BETWEEN $3 AND $4 ORDER BY i.business_date""",
        tenant_id,
        task["task_id"],
        task["starts_on"],
        task["ends_on"],
    )
    return rows


async def entries_of(
    connection: Driver, tenant_id: int, task: Mapping[str, Any], days: Sequence[str]
) -> list[TimelineEntry]:
    """Every event the lines name, in the order of each stream; figures of whole Checks are left out."""
    plan, cycle = task["plan_id"], task["cycle"]
    rows = await connection.fetch(
        """
        SELECT e.stream, e.version, e.type, e.occurred_at, e.known_at, e.actor, e.performed_by, e.cause,
               (e.payload - 'figures')::text AS payload, e.hash
        FROM event e
        WHERE e.tenant_id = $1 AND (
            e.stream = ANY ($2)
            OR e.stream = $3 AND (e.type = ANY ($5) OR e.type IN ('cycle_started', 'cycle_checked')
                                  AND (e.payload->>'cycle')::int = $4))
        ORDER BY e.stream, e.version""",
        tenant_id,
        [f"task/{task['task_id']}", f"plan-member/{plan}/{cycle}/{task['member_id']}", *days],
        f"plan/{plan}",
        cycle,
        list(PLAYBOOK_EVENTS),
    )
    made = [
        TimelineEntry(
            **{key: value for key, value in row.items() if key not in {"payload", "hash"}},
            payload=json.loads(row["payload"]),
            hash=row["hash"].hex(),
        )
        for row in rows
    ]
    coded = await with_codes(connection, tenant_id, [one for one in made if one.type not in PLAYBOOK_EVENTS])
    return [*(one for one in made if one.type in PLAYBOOK_EVENTS), *coded]
