"""Members' contact accounts in SQL, derived from facts: nothing is kept, so nothing is ever out of step.

Check-ins and messages are what happened, items on open lists are what is reserved (`domain.contact_budget`). Whoever puts
an item about a member on a list, or lets a message go to her, holds her account first (`hold_all`, `hold_member_of`,
`try_hold`) and reads it in a statement of its own afterwards: two who come at the same moment never both take what is left.
"""

from __future__ import annotations

from uuid import UUID

from domain.contact_budget import A_DAY, A_MONTH, A_WEEK
from ledger.calendars import NO_STORE_ZONE
from ledger.door import Driver


def limits_on(day: str, known: str) -> str:
    """SQL: one row, `day`, `week` and `month`: what stands on a day as it had been said by an instant.

    Args:
        day: SQL of the date.
        known: SQL of the instant.
    """
    return f"""
    SELECT coalesce(max(said.day), {A_DAY}) AS day, coalesce(max(said.week), {A_WEEK}) AS week,
           coalesce(max(said.month), {A_MONTH}) AS month
    FROM (SELECT k.day, k.week, k.month FROM contact_limit k
          WHERE k.tenant_id = $1 AND k.from_on <= {day} AND k.decided_at <= {known}
          ORDER BY k.from_on DESC, k.version DESC LIMIT 1) said"""


def week_of(day: str) -> str:
    """SQL: the Monday of a date's week."""
    return f"date_trunc('week', {day}::timestamp)::date"


def month_of(day: str) -> str:
    """SQL: the first of a date's month."""
    return f"date_trunc('month', {day}::timestamp)::date"


def contacts_of(members: str | None, *, day: str, one: bool = False, reserved_today: bool = True) -> str:
    """SQL: `member_id`, `on_day`, `plan_id`, `kind`, a row a contact that counts in the day, week or month of a date.

    `kind` is the check-in's channel, `message`, or `reserved`. Rows: since the first of the month or the Monday before, of
    these members by an index each, or of all in one pass over the month; the pass is quicker from some tenth of them on.

    Args:
        members: SQL of a table or query in brackets with `member_id`, each once; None: everybody.
        day: SQL of the date, used as written: a parameter or a column that is in sight.
        one: of a single member: what is reserved is looked for among her open items, else among the days that are open.
        reserved_today: without what is on lists of the date itself: where whoever is on one is left out anyway.
    """
    first = f"least({week_of(day)}, {month_of(day)})"
    last = f"greatest({week_of(day)} + 6, ({month_of(day)} + interval '1 month')::date - 1)"
    # A date somewhere begins at most 14 hours before the same one of UTC; by the instant, for that is what is indexed.
    since = f"(({first})::timestamp - interval '14 hours') AT TIME ZONE 'UTC'"
    open_day = f"d.tenant_id = $1 AND d.state <> 'closed' AND d.business_date BETWEEN {first} AND {last}"
    if not reserved_today:
        open_day += f" AND d.business_date <> {day}"

    def of(table: str) -> str:
        return "" if members is None else f"JOIN {members} w ON w.member_id = {table}.member_id"

    # OFFSET 0 keeps the planner from beginning at the years of lists that lie behind.
    reserved = (
        f"""
    FROM {members} w
    CROSS JOIN LATERAL (SELECT * FROM task WHERE tenant_id = $1 AND member_id = w.member_id AND state = 'open' OFFSET 0) t
    CROSS JOIN LATERAL (SELECT * FROM guide_day d WHERE {open_day} AND d.guide_id = t.guide_id OFFSET 0) i
    WHERE EXISTS (SELECT FROM list_item l WHERE l.tenant_id = $1 AND l.business_date = i.business_date
                  AND l.task_id = t.task_id AND l.guide_id = i.guide_id)"""
        if one
        else f"""
    FROM guide_day d
    CROSS JOIN LATERAL (SELECT * FROM list_item WHERE tenant_id = $1 AND guide_id = d.guide_id
                        AND business_date = d.business_date ORDER BY rank OFFSET 0) i
    JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id AND t.state = 'open' AND t.guide_id = d.guide_id
    {of("t")} WHERE {open_day}"""
    )
    return f"""
    SELECT c.member_id, c.business_date AS on_day, c.plan_id, c.channel AS kind FROM check_in c {of("c")}
    WHERE c.tenant_id = $1 AND c.occurred_at >= {since} AND c.business_date BETWEEN {first} AND {last}
      AND c.channel <> 'in_store'
    UNION ALL
    SELECT t.member_id, i.business_date, t.plan_id, 'reserved' {reserved}
      AND t.last_attempt_on IS DISTINCT FROM i.business_date
    UNION ALL
    SELECT member_id, on_day, plan_id, 'message' FROM (
        SELECT o.member_id, o.content->>'plan' AS plan_id,
               (o.claimed_at AT TIME ZONE coalesce(s.time_zone, '{NO_STORE_ZONE}'))::date AS on_day
        FROM outbox o {of("o")}
        JOIN member m ON m.tenant_id = $1 AND m.member_id = o.member_id
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = m.home_store_id
        WHERE o.tenant_id = $1 AND o.member_id IS NOT NULL AND o.state IN ('sending', 'sent', 'unknown')
          AND o.claimed_at >= {since}
    ) o WHERE on_day BETWEEN {first} AND {last}"""


def counted(contacts: str, *, day: str) -> str:
    """SQL: of rows of `contacts_of`, `today`, `week` and `month` of a date, as aggregates.

    Args:
        contacts: the alias of the rows.
        day: SQL of the date.
    """
    on, week, month = f"{contacts}.on_day", week_of(day), month_of(day)
    return f"""count(*) FILTER (WHERE {on} = {day})::int AS today,
           count(*) FILTER (WHERE {on} BETWEEN {week} AND {week} + 6)::int AS week,
           count(*) FILTER (WHERE {on} >= {month} AND {on} < {month} + interval '1 month')::int AS month"""


SPENT = "(c.today >= l.day OR c.week >= l.week OR c.month >= l.month)"
"""SQL: of counted contacts `c` and limits `l`: no contact is left."""


_SHARED = "{lock}(hashtextextended(format('daogou.contacts/%s', $1::int), 0))"
_ONE = "{lock}(hashtextextended(format('daogou.contact/%s/%s', $1::int, {member}), 0))"


async def hold_all(connection: Driver, tenant_id: int) -> None:
    """Hold every member's account until the transaction ends: for whoever cuts lists of a zone.

    Take it after the turn of the zone (`ledger.zone_days`), never before.
    """
    await connection.execute(f"SELECT {_SHARED.format(lock='pg_advisory_xact_lock')}", tenant_id)


async def hold_member_of(connection: Driver, tenant_id: int, task_id: UUID) -> None:
    """Hold the account of the member an item is about until the transaction ends; waits for whoever holds all.

    One a transaction: two that held one and came to the other's would wait for ever.
    """
    await connection.execute(
        f"SELECT {_SHARED.format(lock='pg_advisory_xact_lock_shared')},"
        f" {_ONE.format(lock='pg_advisory_xact_lock', member='t.member_id')}"
        " FROM task t WHERE t.tenant_id = $1 AND t.task_id = $2",
        tenant_id,
        task_id,
    )


async def try_hold(connection: Driver, tenant_id: int, member_id: UUID) -> bool:
    """Hold a member's account until the transaction ends, if nobody else does; waits for nobody."""
    return bool(
        await connection.fetchval(
            f"SELECT CASE WHEN {_SHARED.format(lock='pg_try_advisory_xact_lock_shared')}"
            f" THEN {_ONE.format(lock='pg_try_advisory_xact_lock', member='$2::uuid')} ELSE false END",
            tenant_id,
            member_id,
        )
    )
