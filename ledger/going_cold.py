"""Members who were graded A or B and whom nobody has spoken to for long: they come up as items (快冷掉的意向会员).

One item a member and stretch of silence, whatever number of plans they are in: who has an item that is due in a running plan comes up anyway. The item is
named after the contact that the silence began with, so that it is made once however often it is looked for.

Cost: one statement a plan and morning; it reads the members of a cycle, and the contacts of those who may be silent.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from domain.check_in import MOST_DIAL_DAYS
from domain.cycle import Silent, silent_task
from domain.events import TaskCreated
from domain.plan import Plan
from ledger.case_standing import NO_COMPLAINT
from ledger.door import Driver
from ledger.tasks import Leaving, known_task_ids

_SILENT = f"""
SELECT pm.member_id, pm.guide_id, last.silent_since, i.category_id, coalesce(b.bought_at, i.bought_at) AS bought_at
FROM plan_member pm
JOIN member m ON m.tenant_id = $1 AND m.member_id = pm.member_id
CROSS JOIN LATERAL (
    SELECT max(k.occurred_at) AS silent_since FROM check_in k
    WHERE k.tenant_id = $1 AND k.member_id = pm.member_id AND k.reached AND k.occurred_at <= $4 AND k.known_at <= $4
) last
CROSS JOIN LATERAL (
    SELECT t.category_id, t.bought_at FROM task t WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.member_id = pm.member_id
    ORDER BY t.cycle DESC, t.bought_at DESC, t.task_id LIMIT 1
) i
LEFT JOIN LATERAL (
    SELECT max(p.occurred_at) AS bought_at FROM purchase p
    WHERE p.tenant_id = $1 AND p.member_id = pm.member_id AND p.category_id = i.category_id AND p.quantity > 0
      AND p.occurred_at <= $4 AND p.known_at <= $4
) b ON true
WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.cycle = $3 AND pm.guide_id IS NOT NULL AND pm.grade IN ('A', 'B')
  AND pm.last_reached_at <= $5 AND last.silent_since <= $5 AND pm.dial_days < $6
  AND (m.opted_out_at IS NULL OR m.opted_out_at > $4) AND m.erased_at IS NULL AND {NO_COMPLAINT.format(member="pm.member_id")}
  AND NOT EXISTS (SELECT FROM task o JOIN plan ol ON ol.tenant_id = $1 AND ol.plan_id = o.plan_id AND ol.status = 'running'
      WHERE o.tenant_id = $1 AND o.member_id = pm.member_id AND o.state = 'open' AND o.due_on <= $7)
ORDER BY pm.member_id"""


async def going_cold(
    connection: Driver, tenant_id: int, plan: Plan, cycle: int, *, day: date, at: datetime
) -> list[TaskCreated]:
    """The items that are new this morning."""
    rows = await connection.fetch(
        _SILENT,
        tenant_id,
        plan.plan,
        cycle,
        at,
        at - timedelta(days=plan.care.cold_after_days),
        MOST_DIAL_DAYS,
        day,
    )
    made = [silent_task(Silent(**dict(row)), plan=plan.plan, cycle=cycle, day=day) for row in rows]
    known = await known_task_ids(connection, tenant_id, [task.task for task in made])
    return [task for task in made if task.task not in known]


_SPOKEN_TO = """
SELECT t.task_id, t.attempts FROM cold_item ci JOIN task t ON t.tenant_id = $1 AND t.task_id = ci.task_id
WHERE ci.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND t.state = 'open' AND EXISTS (
    SELECT FROM check_in k WHERE k.tenant_id = $1 AND k.member_id = t.member_id AND k.reached AND k.task_id <> t.task_id
      AND k.occurred_at > ci.silent_since AND k.occurred_at <= $4 AND k.known_at <= $4)
ORDER BY t.task_id"""


async def spoken_to(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int, *, at: datetime
) -> list[Leaving]:
    """Items of members who were spoken to about something else meanwhile: the silence has ended."""
    rows = await connection.fetch(_SPOKEN_TO, tenant_id, plan_id, cycle, at)
    return [Leaving(row["task_id"], row["attempts"], "withdrawn", "spoken_to") for row in rows]


async def insert_cold_items(connection: Driver, tenant_id: int, tasks: list[TaskCreated]) -> None:
    """Project what marks them; one that is there already stays as it is."""
    silent: list[tuple[UUID, datetime]] = [
        (task.task, task.silent_since) for task in tasks if task.silent_since is not None
    ]
    if silent:
        await connection.execute(
            "INSERT INTO cold_item (tenant_id, task_id, silent_since)"
            " SELECT $1, * FROM unnest($2::uuid[], $3::timestamptz[]) ON CONFLICT DO NOTHING",
            tenant_id,
            [task for task, _ in silent],
            [since for _, since in silent],
        )
