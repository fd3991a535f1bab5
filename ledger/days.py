"""A guide's day: the list is cut, published, nudged about and closed.

Cutting and nudging are set-based: one statement each for all guides of a zone, through the partial
index on open items; publishing and closing touch one guide and its list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.check_in import MOST_DIAL_DAYS
from domain.events import DayClosed, Event, ListPublished, Nudged
from ledger.door import Driver
from ledger.endpoints import SERVING
from ledger.ledger import Command, guide_day_stream, record
from ledger.open_items import ITEM_OPEN, ITEMS_OF_DAY
from ledger.tasks import Leaving, change_tasks


@dataclass(frozen=True, slots=True)
class PlanOnDay:
    """A running plan that works on the day: its capacity a guide, and what happens to items left open."""

    plan_id: str
    cycle: int
    items_per_day: int
    expire: bool


async def cut_lists(
    connection: Driver,
    tenant_id: int,
    *,
    day: date,
    time_zone: str,
    plans: Sequence[PlanOnDay],
    opens_at: datetime,
    closes_at: datetime,
) -> int:
    """Cut the lists of every guide of a zone with something due; returns the lists there are for the day.

    Order: grade (A, B, never called, C), due date, value, member; one item a member. The largest capacity among the day's plans
    cuts the list. Cutting again changes nothing: a list that is there stays. Call it in a transaction.
    """
    await connection.execute(
        """
        WITH due AS (
            SELECT t.guide_id, t.task_id, t.member_id, row_number() OVER (
                ORDER BY CASE pm.grade WHEN 'A' THEN 0 WHEN 'B' THEN 1 WHEN 'C' THEN 3 ELSE 2 END,
                         t.first_due_on, pm.value_minor DESC, t.member_id, t.category_id, t.task_id) AS place
            FROM task t
            JOIN unnest($4::text[], $5::int[]) AS p(plan_id, cycle)
              ON p.plan_id = t.plan_id AND p.cycle = t.cycle
            JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
            JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
                 AND pm.member_id = t.member_id
            JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id AND g.active
                 AND NOT coalesce($2 BETWEEN g.on_leave_from AND coalesce(g.on_leave_to, 'infinity'), false)
            JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id AND s.time_zone = $3
            JOIN plan l ON l.tenant_id = $1 AND l.plan_id = t.plan_id
                 AND l.status = 'running' AND (l.canary IS NULL OR s.code = ANY(l.canary))
            JOIN member m ON m.tenant_id = $1 AND m.member_id = t.member_id
            WHERE t.tenant_id = $1 AND t.state = 'open' AND t.due_on <= $2
              AND pm.grade IS DISTINCT FROM 'D' AND pm.dial_days < $9
              AND (pm.last_dial_on IS NULL OR pm.last_dial_on < $2)
              AND (m.opted_out_at IS NULL OR m.opted_out_at > $7)
              -- nobody is called twice a day: neither about this item nor about another one that was listed before
              AND t.member_id NOT IN (SELECT lt.member_id FROM list_item o
                                      JOIN task lt ON lt.tenant_id = $1 AND lt.task_id = o.task_id
                                      WHERE o.tenant_id = $1 AND o.business_date = $2)
        ), one_a_member AS ( -- nobody is called twice a day; the member's other items come another day
            SELECT DISTINCT ON (member_id) guide_id, task_id, place FROM due ORDER BY member_id, place
        ), ranked AS (
            SELECT guide_id, task_id, row_number() OVER (PARTITION BY guide_id ORDER BY place) AS rank
            FROM one_a_member
        ), listed AS (
            SELECT guide_id, task_id, rank FROM ranked WHERE rank <= $6
        ), days AS (
            INSERT INTO guide_day (tenant_id, guide_id, business_date, time_zone, state, listed, opens_at, closes_at)
            SELECT $1, guide_id, $2, $3, 'cut', count(*), $7, $8 FROM listed GROUP BY guide_id
            ON CONFLICT DO NOTHING RETURNING guide_id
        )
        INSERT INTO list_item (tenant_id, guide_id, business_date, rank, task_id)
        SELECT $1, guide_id, $2, rank, task_id FROM listed JOIN days USING (guide_id)""",
        tenant_id,
        day,
        time_zone,
        [plan.plan_id for plan in plans],
        [plan.cycle for plan in plans],
        max((plan.items_per_day for plan in plans), default=0),
        opens_at,
        closes_at,
        MOST_DIAL_DAYS,
    )
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM guide_day WHERE tenant_id = $1 AND business_date = $2 AND time_zone = $3",
            tenant_id,
            day,
            time_zone,
        )
    )


async def open_days(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str
) -> list[tuple[UUID, datetime, datetime]]:
    """Guide-days of a date that are not closed: guide, opening and close, by guide."""
    rows = await connection.fetch(
        "SELECT guide_id, opens_at, closes_at FROM guide_day WHERE tenant_id = $1 AND business_date = $2"
        " AND time_zone = $3 AND state <> 'closed' ORDER BY guide_id",
        tenant_id,
        day,
        time_zone,
    )
    return [(row["guide_id"], row["opens_at"], row["closes_at"]) for row in rows]


@dataclass(frozen=True, slots=True)
class OpenGuideDay:
    """A guide-day that is not closed; `state` is cut or published."""

    guide_id: UUID
    day: date
    opens_at: datetime
    closes_at: datetime
    state: str


async def open_guide_days(connection: Driver, tenant_id: int) -> list[OpenGuideDay]:
    """Every guide-day of any date that is not closed, by date and guide."""
    rows = await connection.fetch(
        "SELECT guide_id, business_date, opens_at, closes_at, state FROM guide_day"
        " WHERE tenant_id = $1 AND state <> 'closed' ORDER BY business_date, guide_id",
        tenant_id,
    )
    return [
        OpenGuideDay(row["guide_id"], row["business_date"], row["opens_at"], row["closes_at"], row["state"])
        for row in rows
    ]


async def open_days_between(
    connection: Driver, tenant_id: int, *, first: date, last: date
) -> list[tuple[UUID, date, datetime]]:
    """Guide-days from `first` to `last` that are not closed: guide, date and close, by date and guide."""
    rows = await connection.fetch(
        "SELECT guide_id, business_date, closes_at FROM guide_day WHERE tenant_id = $1"
        " AND business_date BETWEEN $2 AND $3 AND state <> 'closed' ORDER BY business_date, guide_id",
        tenant_id,
        first,
        last,
    )
    return [(row["guide_id"], row["business_date"], row["closes_at"]) for row in rows]


async def count_open_days(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int, until: date
) -> int:
    """Guide-days up to `until` that hold items of a cycle and are not closed yet."""
    return int(
        await connection.fetchval(
            """
            SELECT count(*) FROM guide_day d
            WHERE d.tenant_id = $1 AND d.state <> 'closed' AND d.business_date <= $4
              AND EXISTS (SELECT FROM list_item i JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
                          WHERE i.tenant_id = $1 AND i.guide_id = d.guide_id
                            AND i.business_date = d.business_date AND t.plan_id = $2 AND t.cycle = $3)""",
            tenant_id,
            plan_id,
            cycle,
            until,
        )
    )


async def publish(connection: Driver, tenant_id: int, command: Command, *, guide_id: UUID, day: date) -> bool:
    """Publish a guide's list; False if it was published before. Call it in a transaction.

    The workflow calls it at the release hour, clocking in calls it where Temporal is away: same command id,
    same effect.
    """
    state = await connection.fetchval(
        "SELECT state FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 FOR UPDATE",
        tenant_id,
        guide_id,
        day,
    )
    if state != "cut":
        return False
    items = await connection.fetch(
        "SELECT task_id FROM list_item WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 ORDER BY rank",
        tenant_id,
        guide_id,
        day,
    )
    published = ListPublished(guide=guide_id, business_date=day, tasks=tuple(row["task_id"] for row in items))
    await record(connection, tenant_id, command, [(guide_day_stream(guide_id, day), published)])
    await connection.execute(
        """
        UPDATE guide_day SET state = 'published', published_at = $4, clocked_in_at = coalesce(clocked_in_at, (
            SELECT occurred_at FROM event e WHERE e.tenant_id = $1 AND e.stream = $5 AND e.type = 'clocked_in'))
        WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3""",
        tenant_id,
        guide_id,
        day,
        command.occurred_at,
        guide_day_stream(guide_id, day),  # who came before the release hour
    )
    return True


async def nudge(
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    day: date,
    time_zone: str,
    slot: str,
    expires_at: datetime,
) -> int:
    """Put one reminder a guide with open items into the outbox; returns how many were new.

    One transaction looks at the lists and writes the messages, so nobody is nudged for what is finished; the
    purpose makes a second nudge for the same slot impossible. A message goes to each endpoint that serves the
    guide; where none does, one row says so (`unrouted`).
    """
    # Two release hours may share a slot: the second looks when the first is through, and finds its messages.
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(format('nudge/%s/%s/%s/%s', $1::int, $2::text, $3::date,"
        " $4::text), 0))",
        tenant_id,
        time_zone,
        day,
        slot,
    )
    rows = await connection.fetch(
        f"""
        SELECT d.guide_id, count(*)::int AS open_items
        FROM guide_day d
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
        JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        {ITEMS_OF_DAY}
        WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.time_zone = $3 AND d.state = 'published'
          AND {ITEM_OPEN}
          AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1
                          AND o.purpose = format('nudge/%s/%s/%s', d.guide_id, $2::date, $4::text))
        GROUP BY 1 ORDER BY 1""",
        tenant_id,
        day,
        time_zone,
        slot,
    )
    if not rows:
        return 0
    events: list[tuple[str, Event]] = [
        (guide_day_stream(row["guide_id"], day), Nudged(slot=slot, open_items=row["open_items"]))
        for row in rows
    ]
    if (await record(connection, tenant_id, command, events)).duplicate:
        return 0
    await connection.execute(
        f"""
        WITH n AS (
            SELECT * FROM unnest($6::uuid[], $7::int[]) AS n(guide_id, open_items)
        ), served AS (
            SELECT n.guide_id, e.endpoint_id, rank() OVER (PARTITION BY n.guide_id ORDER BY place.nearness) AS choice
            FROM n
            JOIN guide g ON g.tenant_id = $1 AND g.guide_id = n.guide_id
            JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
            {SERVING}
        )
        INSERT INTO outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at, endpoint_id, state)
        SELECT $1, format('nudge/%s/%s/%s', n.guide_id, $2::date, $3::text), 'nudge', n.guide_id,
               jsonb_build_object('date', $2::date, 'slot', $3::text, 'open_items', n.open_items), $4, $5,
               coalesce(v.endpoint_id, 0), CASE WHEN v.endpoint_id IS NULL THEN 'unrouted' ELSE 'waiting' END
        FROM n LEFT JOIN served v ON v.guide_id = n.guide_id AND v.choice = 1
        ON CONFLICT DO NOTHING""",
        tenant_id,
        day,
        slot,
        command.occurred_at,
        expires_at,
        [row["guide_id"] for row in rows],
        [row["open_items"] for row in rows],
    )
    # After an outage a guide is told once how things stand, not once a slot.
    await connection.execute(
        """
        UPDATE outbox SET state = 'expired', why = 'overtaken', ended_at = $4
        WHERE tenant_id = $1 AND state = 'waiting' AND kind = 'nudge' AND guide_id = ANY($5)
          AND content->>'date' = $2::date::text AND content->>'slot' < $3""",
        tenant_id,
        day,
        slot,
        command.occurred_at,
        [row["guide_id"] for row in rows],
    )
    return len(rows)


async def close(
    connection: Driver, tenant_id: int, command: Command, *, guide_id: UUID, day: date, reason: str = ""
) -> bool:
    """Close a guide's day: lock it, recount it, let open items carry over or expire by their plan's rule.

    Items of a paused plan carry over whatever its rule: nobody was asked to do them. With a `reason` the day is
    closed before its time, and what is reported afterwards comes after the close.

    False if it was closed before. Call it in a transaction. Seven statements, rows grow with one list.
    """
    state = await connection.fetchval(
        "SELECT state FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 FOR UPDATE",
        tenant_id,
        guide_id,
        day,
    )
    if state is None or state == "closed":
        return False
    rows = await connection.fetch(
        """
        SELECT t.task_id, t.attempts,
               t.state = 'open' AND t.guide_id = $2 AND t.last_attempt_on IS DISTINCT FROM $3 AS untouched,
               p.spec->'day'->>'open_items' = 'expire' AND p.status <> 'paused' AS expire,
               p.status = 'recalled' AS recalled, c.reached
        FROM list_item i
        JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
        JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
        LEFT JOIN LATERAL (
            SELECT bool_or(k.reached) AS reached FROM check_in k
            WHERE k.tenant_id = $1 AND k.task_id = t.task_id AND k.business_date = $3 AND k.guide_id = $2
        ) c ON true
        WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3 ORDER BY i.rank""",
        tenant_id,
        guide_id,
        day,
    )
    expiring = [
        Leaving(row["task_id"], row["attempts"], "expired", "day_closed")
        for row in rows
        if row["untouched"] and row["expire"] and not row["recalled"]
    ]
    withdrawn = [
        # A recall that has not got to them yet, or was killed on its way.
        Leaving(row["task_id"], row["attempts"], "withdrawn", "recalled")
        for row in rows
        if row["untouched"] and row["recalled"]
    ]
    closed = DayClosed(
        listed=len(rows),
        done=sum(row["reached"] is not None for row in rows),
        reached=sum(bool(row["reached"]) for row in rows),
        carried=sum(row["untouched"] for row in rows) - len(expiring) - len(withdrawn),
        expired=len(expiring),
        reason=reason,
    )
    await record(connection, tenant_id, command, [(guide_day_stream(guide_id, day), closed)])
    expire = Command(f"{command.command_id}/expire", command.occurred_at, command.known_at, command.actor)
    await change_tasks(connection, tenant_id, expire, leaving=[*expiring, *withdrawn])
    await connection.execute(
        "UPDATE guide_day SET state = 'closed', done = $4, reached = $5, carried = $6, closed_at = $7,"
        " closes_at = least(closes_at, $7)"
        " WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
        tenant_id,
        guide_id,
        day,
        closed.done,
        closed.reached,
        closed.carried,
        command.occurred_at,
    )
    return True
