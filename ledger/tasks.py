"""Items in bulk: made at a cycle's start and by new purchases, taken off lists, moved between guides.

Each function is called in a transaction and costs a handful of round trips whatever the number of items (lock, reread,
append, projection); rows grow with the items it changes. Locking the heads before the rows are read again makes
it safe beside check-ins: whoever comes second gets a Conflict and reads again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.check_in import MOST_DIAL_DAYS
from domain.errors import Conflict
from domain.events import Event, TaskCreated, TaskLeft, TaskReassigned
from ledger.door import Driver, command_used, lock_heads
from ledger.ledger import Command, record, task_stream

KNOWN_LATE = timedelta(days=90)
"""A purchase from before the cycle that becomes known in it still moves the reminder, if it is no older (ours)."""


# From the events just appended, as `ledger.founding` has it.
NEW_TASKS = """
INSERT INTO task (tenant_id, task_id, plan_id, cycle, member_id, category_id, guide_id, run_out_on, due_on,
                  first_due_on, bought_at, state, known_at)
SELECT $1, (payload->>'task')::uuid, payload->>'plan', (payload->>'cycle')::int, (payload->>'member')::uuid,
       (payload->>'category')::int, (payload->>'guide')::uuid, (payload->>'run_out_on')::date,
       (payload->>'due_on')::date, (payload->>'due_on')::date, (payload->>'bought_at')::timestamptz, 'open', known_at
FROM appended"""


@dataclass(frozen=True, slots=True)
class Leaving:
    """An item that leaves the list without a check-in, with the state and reason it is left in.

    `attempts` is how often it had been attempted when that was decided.
    """

    task_id: UUID
    attempts: int
    state: str
    reason: str
    bought_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Moving:
    """An open item that goes to another guide; `attempts` as in `Leaving`."""

    task_id: UUID
    attempts: int
    before: UUID
    guide_id: UUID
    lent: bool = False
    """Whether the member stays with whoever looks after them."""


async def insert_tasks(
    connection: Driver, tenant_id: int, tasks: Sequence[TaskCreated], *, known_at: datetime
) -> None:
    """Project new items; an item that is there already stays as it is."""
    await connection.execute(
        """
        INSERT INTO task (tenant_id, task_id, plan_id, cycle, member_id, category_id, guide_id, run_out_on,
                          due_on, first_due_on, bought_at, state, known_at)
        SELECT $1, t.task, t.plan, t.cycle, t.member, t.category, t.guide, t.run_out_on, t.due_on, t.due_on,
               t.bought_at, 'open', $11
        FROM unnest($2::uuid[], $3::text[], $4::int[], $5::uuid[], $6::int[], $7::uuid[], $8::date[],
                    $9::date[], $10::timestamptz[])
            AS t(task, plan, cycle, member, category, guide, run_out_on, due_on, bought_at)
        ON CONFLICT DO NOTHING""",
        tenant_id,
        [task.task for task in tasks],
        [task.plan for task in tasks],
        [task.cycle for task in tasks],
        [task.member for task in tasks],
        [task.category for task in tasks],
        [task.guide for task in tasks],
        [task.run_out_on for task in tasks],
        [task.due_on for task in tasks],
        [task.bought_at for task in tasks],
        known_at,
    )


async def change_tasks(
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    created: Sequence[TaskCreated] = (),
    leaving: Sequence[Leaving] = (),
    moving: Sequence[Moving] = (),
) -> bool:
    """Make, take off and move items under one command; False if the command had been done before.

    Items that leave or move must still be open, and as often attempted, as when it was decided, and a member who declined
    or was not reached still stands so: the items' streams are locked, then their rows are read again.

    Raises:
        Conflict: a check-in or a correction came in between; read again and decide anew.
    """
    changing: list[Leaving | Moving] = [*leaving, *moving]
    before = {item.task_id: item.attempts for item in changing}
    if before:
        await lock_heads(connection, tenant_id, [task_stream(task_id) for task_id in before])
        rows = await connection.fetch(
            """
            SELECT t.task_id, t.attempts FROM task t
            JOIN unnest($2::uuid[], $3::text[]) AS w(task_id, reason) ON w.task_id = t.task_id
            WHERE t.tenant_id = $1 AND t.state = 'open' AND (w.reason NOT IN ('declined', 'not_reached') OR EXISTS (
                SELECT FROM plan_member pm WHERE pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
                  AND pm.member_id = t.member_id
                  AND CASE w.reason WHEN 'declined' THEN pm.grade = 'D' ELSE pm.dial_days >= $4 END))""",
            tenant_id,
            list(before),
            [item.reason if isinstance(item, Leaving) else "" for item in changing],
            MOST_DIAL_DAYS,
        )
        done_before = await command_used(connection, tenant_id, command.command_id)
        if not done_before and {row["task_id"]: row["attempts"] for row in rows} != before:
            raise Conflict("an item changed since it was decided to take it off or move it: read again")
    events: list[tuple[str, Event]] = [(task_stream(task.task), task) for task in created]
    events += [
        (
            task_stream(item.task_id),
            TaskLeft(state=item.state, reason=item.reason, bought_at=item.bought_at),
        )
        for item in leaving
    ]
    events += [
        (
            task_stream(item.task_id),
            TaskReassigned(
                guide=item.guide_id, before=item.before, reason=command.command_id, lent=item.lent
            ),
        )
        for item in moving
    ]
    if not events:
        return True
    appended = await record(connection, tenant_id, command, events)
    if appended.duplicate:
        return False
    if created:
        await insert_tasks(connection, tenant_id, created, known_at=command.known_at)
    if leaving:
        await connection.execute(
            """
            UPDATE task SET state = l.state, reason = l.reason
            FROM unnest($2::uuid[], $3::text[], $4::text[]) AS l(task_id, state, reason)
            WHERE tenant_id = $1 AND task.task_id = l.task_id""",
            tenant_id,
            [item.task_id for item in leaving],
            [item.state for item in leaving],
            [item.reason for item in leaving],
        )
    if moving:
        await connection.execute(
            """
            UPDATE task SET guide_id = m.guide_id, lent = m.lent
            FROM unnest($2::uuid[], $3::uuid[], $4::bool[]) AS m(task_id, guide_id, lent)
            WHERE tenant_id = $1 AND task.task_id = m.task_id""",
            tenant_id,
            [item.task_id for item in moving],
            [item.guide_id for item in moving],
            [item.lent for item in moving],
        )
    return True


async def open_tasks_of_guide(
    connection: Driver, tenant_id: int, *, plan_id: str, guide_id: UUID
) -> list[tuple[UUID, UUID, int]]:
    """Open items of a guide in a plan as (task, member, attempts), by id."""
    rows = await connection.fetch(
        "SELECT task_id, member_id, attempts FROM task WHERE tenant_id = $1 AND plan_id = $2 AND guide_id = $3"
        " AND state = 'open' ORDER BY task_id",
        tenant_id,
        plan_id,
        guide_id,
    )
    return [(row["task_id"], row["member_id"], row["attempts"]) for row in rows]


async def open_tasks_of_plan(
    connection: Driver, tenant_id: int, *, plan_id: str, limit: int
) -> list[tuple[UUID, int]]:
    """The first open items of a plan as (task, attempts), by id."""
    rows = await connection.fetch(
        "SELECT task_id, attempts FROM task WHERE tenant_id = $1 AND plan_id = $2 AND state = 'open'"
        " ORDER BY task_id LIMIT $3",
        tenant_id,
        plan_id,
        limit,
    )
    return [(row["task_id"], row["attempts"]) for row in rows]


async def finished_beforehand(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int, as_of: datetime
) -> list[Leaving]:
    """Open items of a cycle that nobody should call about any more, with the reason.

    Bought since: withdrawn as *bought before contact* if the item was never attempted, else left as bought.
    Opted out, declined (grade D), or not reached on the most days allowed: taken off.
    """
    rows = await connection.fetch(
        """
        SELECT t.task_id, t.attempts,
               CASE WHEN bought.at IS NOT NULL THEN CASE WHEN t.attempts = 0 THEN 'withdrawn' ELSE 'bought' END
                    WHEN pm.dial_days >= $5 THEN 'unreached'
                    ELSE 'withdrawn' END AS state,
               CASE WHEN bought.at IS NOT NULL
                    THEN CASE WHEN t.attempts = 0 THEN 'bought_before_contact' ELSE 'bought_after_attempt' END
                    WHEN m.opted_out_at <= $4 THEN 'do_not_contact'
                    WHEN pm.grade = 'D' THEN 'declined'
                    ELSE 'not_reached' END AS reason,
               bought.at AS bought_at
        FROM task t
        JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
             AND pm.member_id = t.member_id
        JOIN member m ON m.tenant_id = $1 AND m.member_id = t.member_id
        LEFT JOIN LATERAL (
            SELECT max(p.occurred_at) AS at FROM purchase p
            WHERE p.tenant_id = $1 AND p.member_id = t.member_id AND p.category_id = t.category_id
              AND p.quantity > 0 AND p.occurred_at > t.bought_at
              AND p.occurred_at <= $4 AND p.known_at <= $4
        ) bought ON true
        WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND t.state = 'open'
          AND (bought.at IS NOT NULL OR m.opted_out_at <= $4 OR pm.grade = 'D' OR pm.dial_days >= $5)
        ORDER BY t.task_id""",
        tenant_id,
        plan_id,
        cycle,
        as_of,
        MOST_DIAL_DAYS,
    )
    return [
        Leaving(row["task_id"], row["attempts"], row["state"], row["reason"], row["bought_at"])
        for row in rows
    ]


async def bought_again(
    connection: Driver,
    tenant_id: int,
    *,
    plan_id: str,
    cycle: int,
    categories: Sequence[int],
    since: datetime,
    as_of: datetime,
) -> list[tuple[UUID, int, UUID]]:
    """Who bought, or came to be known to have bought, after `since` what no item of the cycle rests on yet.

    Members with a guide only: (member, category, guide).
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT pm.member_id, p.category_id, pm.guide_id
        FROM plan_member pm
        JOIN purchase p ON p.tenant_id = $1 AND p.member_id = pm.member_id AND p.category_id = ANY($4)
             AND p.quantity > 0 AND p.occurred_at > $7 AND p.occurred_at <= $6 AND p.known_at <= $6
             AND greatest(p.occurred_at, p.known_at) > $5
        JOIN member m ON m.tenant_id = $1 AND m.member_id = pm.member_id
        WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.cycle = $3 AND pm.guide_id IS NOT NULL
          AND pm.grade IS DISTINCT FROM 'D' AND pm.dial_days < $8
          AND (m.opted_out_at IS NULL OR m.opted_out_at > $6)
          AND NOT EXISTS (
              SELECT FROM task t WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3
                AND t.member_id = pm.member_id AND t.category_id = p.category_id
                AND (t.bought_at >= p.occurred_at OR t.state = 'open'))
        ORDER BY 1, 2""",
        tenant_id,
        plan_id,
        cycle,
        list(categories),
        since,
        as_of,
        since - KNOWN_LATE,
        MOST_DIAL_DAYS,
    )
    return [(row["member_id"], row["category_id"], row["guide_id"]) for row in rows]


async def known_task_ids(connection: Driver, tenant_id: int, tasks: Sequence[UUID]) -> frozenset[UUID]:
    """Which of these items exist already."""
    rows = await connection.fetch(
        "SELECT task_id FROM task WHERE tenant_id = $1 AND task_id = ANY($2)", tenant_id, list(tasks)
    )
    return frozenset(row["task_id"] for row in rows)


async def left_open(connection: Driver, tenant_id: int, *, plan_id: str, cycle: int) -> list[Leaving]:
    """Items still open when their cycle has been checked; they expire with it, or are withdrawn with their plan."""
    rows = await connection.fetch(
        "SELECT task_id, attempts, (SELECT status = 'recalled' FROM plan p WHERE p.tenant_id = $1 AND p.plan_id = $2)"
        " AS recalled FROM task WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 AND state = 'open'"
        " ORDER BY task_id",
        tenant_id,
        plan_id,
        cycle,
    )
    return [
        Leaving(row["task_id"], row["attempts"], "withdrawn", "recalled")
        if row["recalled"]
        else Leaving(row["task_id"], row["attempts"], "expired", "cycle_ended")
        for row in rows
    ]
