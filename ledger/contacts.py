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


def contacts_of(members: str, *, day: str, reserved_today: bool = True) -> str:
    """SQL: `member_id`, `on_day`, `plan_id`, `kind`, a row a contact that counts in the day, week or month of a date.

    `kind` is the check-in's channel, `message`, or `reserved`. Rows: of these members, since the first of the month or the
    Monday before; a descent of an index a member, or one pass over the month, as the planner sees fit.

    Args:
        members: SQL of a table or query in brackets with `member_id`, each once.
        day: SQL of the date, used as written: a parameter or a column that is in sight.
        reserved_today: without what is on lists of the date itself: where whoever is on one is left out anyway.
    """
    first = f"least({week_of(day)}, {month_of(day)})"
    last = f"greatest({week_of(day)} + 6, ({month_of(day)} + interval '1 month')::date - 1)"
    # A date somewhere begins at most 14 hours before the same one of UTC; by the instant, for that is what is indexed.
    since = f"(({first})::timestamp - interval '14 hours') AT TIME ZONE 'UTC'"
    others = "" if reserved_today else f" AND d.business_date <> {day}"
    return f"""
    SELECT w.member_id, c.business_date AS on_day, c.plan_id, c.channel AS kind
    FROM {members} w JOIN check_in c ON c.member_id = w.member_id
    WHERE c.tenant_id = $1 AND c.occurred_at >= {since} AND c.business_date BETWEEN {first} AND {last}
      AND c.channel <> 'in_store'
    UNION ALL
    SELECT w.member_id, i.business_date, t.plan_id, 'reserved'
    FROM guide_day d
    JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = d.guide_id AND i.business_date = d.business_date
    JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id AND t.state = 'open' AND t.guide_id = d.guide_id
         AND t.last_attempt_on IS DISTINCT FROM d.business_date
    JOIN {members} w ON w.member_id = t.member_id
    WHERE d.tenant_id = $1 AND d.state <> 'closed' AND d.business_date BETWEEN {first} AND {last}{others}
    UNION ALL
    SELECT member_id, on_day, plan_id, 'message' FROM (
        SELECT w.member_id, o.content->>'plan' AS plan_id,
               (o.claimed_at AT TIME ZONE coalesce(s.time_zone, '{NO_STORE_ZONE}'))::date AS on_day
        FROM {members} w JOIN outbox o ON o.member_id = w.member_id
        JOIN member m ON m.tenant_id = $1 AND m.member_id = o.member_id
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = m.home_store_id
        WHERE o.tenant_id = $1 AND o.state IN ('sending', 'sent', 'unknown') AND o.claimed_at >= {since}
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
