"""Which items may come on whose list of a day, and in which order: named pieces of SQL, for the cut and for what comes later.

A rule that keeps items off every list is one entry of `CONDITIONS`; one that moves them in the order, one of `ORDER`.

Parameters: $1 brand, $2 day, $3 time zone, $4 plans and $5 their cycles, $6 whether a plan's items are invitations, $7
whether its key values come first, $8 the instant, $9 the most days a member is dialled in vain, $10 whether a plan's items
wait in the stores' pools, $11 guides who are off, $12 plans to which the stores $13 are closed, $14 the plans' priorities
(0 first); of the capacity $15 calls and $16 invitations a list holds, $17 guides with another number of $18 invitations or
$19 calls. Of the items of a zone each is looked at once.

A member has one account over all plans (`ledger.contacts`): who has no contact left comes on no list, whatever is due. That
is looked at before the capacity cuts, so that nobody's place is taken by who may not be contacted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from domain.check_in import MOST_DIAL_DAYS
from domain.contact_budget import PRIORITIES
from domain.day_norm import Capacity
from ledger.calendars import NOBODY_OFF, DaysOff
from ledger.case_standing import NO_COMPLAINT
from ledger.contacts import SPENT, contacts_of, counted, limits_on

PLANS = """unnest($4::text[], $5::int[], $6::bool[], $7::bool[], $10::bool[], $14::smallint[])
        AS p(plan_id, cycle, invitation, key_value_first, pooled, priority)"""

# Written so that the planner sees that almost every row passes: else it takes a zone's items for a few, and looks each up.
AT_WORK = """g.active AND (g.on_leave_from IS NULL OR $2 < g.on_leave_from OR g.on_leave_to < $2)
    AND NOT EXISTS (SELECT FROM guide_absence a WHERE a.tenant_id = $1 AND a.guide_id = g.guide_id AND a.business_date = $2)"""
"""The guide `g` works on the day $2: neither on leave nor absent."""

NOT_PUT_OFF = "(t.snoozed_until IS NULL OR t.snoozed_until <= {at} OR t.last_attempt_on >= t.snoozed_on)"
PUT_OFF = f"(NOT coalesce({NOT_PUT_OFF}, false))"
"""Her guide put the item off and its hour has not come; an attempt since then has overtaken it."""

CONDITIONS: Mapping[str, str] = {
    "open and due": "t.state = 'open' AND t.due_on <= $2",
    "not put off": NOT_PUT_OFF.format(at="$8"),
    "of its plan's cycle": "coalesce(p.cycle = t.cycle, false)",
    "neither declined nor dialled out": "pm.grade IS DISTINCT FROM 'D' AND coalesce(pm.dial_days, 0) < $9",
    "not dialled today": "(pm.last_dial_on IS NULL OR pm.last_dial_on < $2)",
    "not opted out": "{not_opted_out}",
    "no complaint of the member's open": NO_COMPLAINT.format(member="t.member_id"),
    # Nobody is called twice a day: neither about this item nor about another one that was listed before.
    "not listed today": """NOT EXISTS (SELECT FROM list_item o
        JOIN task lt ON lt.tenant_id = $1 AND lt.task_id = o.task_id
        WHERE o.tenant_id = $1 AND o.business_date = $2 AND lt.member_id = t.member_id)""",
    "its store open to its plan": """NOT EXISTS (SELECT FROM unnest($12::text[], $13::uuid[]) AS x(plan_id, store_id)
        WHERE x.plan_id = t.plan_id AND x.store_id = g.store_id)""",
    "its plan asks for it here": "l.status = 'running' AND (l.canary IS NULL OR g.store = ANY(l.canary))",
}
"""All must hold of an item. Names are for whoever adds one."""

GUIDES = """
    SELECT g.guide_id, g.store_id, s.code AS store FROM guide g
    JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id AND s.time_zone = $3
    WHERE g.tenant_id = $1 AND g.guide_id <> ALL ($11::uuid[]) AND {at_work} AND {only} OFFSET 0"""
"""Whose lists are cut: who has a shift and is at work. Found once, not again for each of their items."""

URGED_WITHIN_DAYS = 7
URGED = f"""CASE WHEN t.task_id IN (SELECT unnest(u.tasks) FROM guide_urge u WHERE u.tenant_id = $1
        AND u.business_date BETWEEN $2::date - {URGED_WITHIN_DAYS} AND $2) THEN 0 ELSE 1 END"""
"""SQL: 0 for an item about which its guide was urged in the last days, else 1."""

ORDER: Mapping[str, str] = {
    "urged": URGED,
    "key_value": "CASE WHEN p.key_value_first AND pm.quadrant = 'key_value' THEN 0 ELSE 1 END",
    "grade": "CASE pm.grade WHEN 'A' THEN 0 WHEN 'B' THEN 1 WHEN 'C' THEN 3 ELSE 2 END",
    "first_due_on": "t.first_due_on",
    "less_value": "-pm.value_minor",
    "member_id": "t.member_id",
    "category_id": "t.category_id",
    "task_id": "t.task_id",
}
"""The order of a list, as columns of `due`, each the lowest first; the last makes it the same every time."""


def place(alias: str) -> str:
    """SQL: for ORDER BY, an item's place in the order of lists; of rows of `due` or what is made of it."""
    return ", ".join(f"{alias}.{column}" for column in ORDER)


def within_budget(*, everybody: bool) -> str:
    """The CTEs `spent` and `within_budget`: of `one_a_member` those with a contact left.

    Whoever is on a list of the day is not among them, so what is reserved on it need not be looked at.

    Args:
        everybody: whether contacts are counted in one pass over the month, where most members have something due; else of
            those in `one_a_member` only, each by an index.
    """
    contacts = contacts_of(None if everybody else "one_a_member", day="$2", reserved_today=False)
    return f"""limits AS ({limits_on("$2", "$8")}
), spent AS (
    SELECT c.member_id FROM (
        SELECT k.member_id, {counted("k", day="$2")} FROM ({contacts}) k GROUP BY 1
    ) c CROSS JOIN limits l WHERE {SPENT}
), within_budget AS (
    SELECT o.* FROM one_a_member o WHERE NOT EXISTS (SELECT FROM spent x WHERE x.member_id = o.member_id)
)"""


def listable(*, only: str = "true", everybody: bool = False) -> str:
    """The CTEs `due`, `one_a_member` and `within_budget`: what may come on a list, its place in the order, one item a member.

    Args:
        only: one more condition on the guide, e.g. on her store `g.store_id`.
        everybody: see `within_budget`.
    """
    # Of a zone's items those of the few who opted out are left out; of a store's each member is looked up.
    opted_out = "SELECT {columns} FROM member m WHERE m.tenant_id = $1 AND m.opted_out_at <= $8"
    not_opted_out = (
        f"t.member_id NOT IN ({opted_out.format(columns='m.member_id')})"
        if everybody
        else f"NOT EXISTS ({opted_out.format(columns='')} AND m.member_id = t.member_id OFFSET 0)"
    )
    conditions = " AND ".join(CONDITIONS.values()).format(not_opted_out=not_opted_out)
    return f"""
due AS (
    SELECT t.guide_id, t.attempts, g.store_id, p.invitation, p.pooled, p.priority,
           {", ".join(f"{value} AS {column}" for column, value in ORDER.items())}
    FROM task t
    JOIN {PLANS} ON p.plan_id = t.plan_id
    JOIN plan l ON l.tenant_id = $1 AND l.plan_id = p.plan_id
    JOIN ({GUIDES.format(at_work=AT_WORK, only=only)}) g ON g.guide_id = t.guide_id
    -- Every item has one. As an outer join, so that the planner does not expect fewer rows for each column it goes by.
    LEFT JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
         AND pm.member_id = t.member_id
    WHERE t.tenant_id = $1 AND {conditions}
), one_a_member AS ( -- the contact is the plan's with the highest priority; the member's other items come another day
    SELECT DISTINCT ON (d.member_id) d.* FROM due d ORDER BY d.member_id, d.priority, d.pooled, {place("d")}
), {within_budget(everybody=everybody)}"""


def within_capacity(*, everybody: bool) -> str:
    """The CTEs of `listable` and `listed`: what comes on whose list beside what is on it already, in order.

    Args:
        everybody: see `within_budget`.
    """
    # One sort of all items does for both windows: the second has the order of the first, and no join comes between.
    return f"""{listable(everybody=everybody)}, held AS (
    SELECT i.guide_id, count(*) FILTER (WHERE p.invitation) AS invitations, count(*) FILTER (WHERE NOT p.invitation) AS calls
    FROM list_item i
    JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
    JOIN (SELECT plan_id, coalesce(spec->'means'->0->>'item', 'call') = 'invitation' AS invitation FROM plan
          WHERE tenant_id = $1) p ON p.plan_id = t.plan_id
    WHERE i.tenant_id = $1 AND i.business_date = $2 GROUP BY 1
), counted AS (
    SELECT o.guide_id, {place("o")},
           CASE WHEN o.invitation
                THEN count(*) FILTER (WHERE o.invitation) OVER earlier + coalesce(h.invitations, 0)
                     <= coalesce(own.invitations, $16::int)
                ELSE count(*) FILTER (WHERE NOT o.invitation) OVER earlier + coalesce(h.calls, 0)
                     <= coalesce(own.calls, $15::int) END AS fits
    FROM within_budget o
    LEFT JOIN held h ON h.guide_id = o.guide_id
    LEFT JOIN unnest($17::uuid[], $18::int[], $19::int[]) AS own(guide_id, invitations, calls) ON own.guide_id = o.guide_id
    WHERE NOT o.pooled
    WINDOW earlier AS (PARTITION BY o.guide_id ORDER BY {place("o")} ROWS UNBOUNDED PRECEDING)
), listed AS (
    SELECT c.guide_id, c.task_id, row_number() OVER (PARTITION BY c.guide_id ORDER BY {place("c")}) AS rank
    FROM counted c WHERE c.fits
)"""


@dataclass(frozen=True, slots=True)
class PlanOnDay:
    """A running plan that works on the day."""

    plan_id: str
    cycle: int
    invitation: bool = False
    """Whether its items are invitations into groups."""
    key_value_first: bool = True
    pooled: bool = False
    """Whether its items still wait in the stores' pools to be claimed."""
    priority: int = PRIORITIES.index("middle")
    """Whose contact it is where several plans want the member's: the lowest number's."""


@dataclass(frozen=True, slots=True)
class ZoneDay:
    """The day of a zone, and who of it is off."""

    tenant_id: int
    day: date
    time_zone: str
    off: DaysOff = NOBODY_OFF


@dataclass(frozen=True, slots=True)
class Holds:
    """What lists hold and what is scored: the same for all, but for guides who do not take part in all plans.

    Invitations are others, too, where they were traded for visits.
    """

    capacity: Capacity
    invitations: Mapping[UUID, int] = field(default_factory=dict)
    target: Capacity | None = None
    target_invitations: Mapping[UUID, int] = field(default_factory=dict)
    calls: Mapping[UUID, int] = field(default_factory=dict)


def due_arguments(zone_day: ZoneDay, plans: Sequence[PlanOnDay], at: datetime) -> list[object]:
    """$1 to $14."""
    return [
        zone_day.tenant_id,
        zone_day.day,
        zone_day.time_zone,
        [plan.plan_id for plan in plans],
        [plan.cycle for plan in plans],
        [plan.invitation for plan in plans],
        [plan.key_value_first for plan in plans],
        at,
        MOST_DIAL_DAYS,
        [plan.pooled for plan in plans],
        list(zone_day.off.guides),
        [plan_id for plan_id, _ in zone_day.off.stores],
        [store_id for _, store_id in zone_day.off.stores],
        [plan.priority for plan in plans],
    ]


def capacity_arguments(holds: Holds) -> list[object]:
    """$15 to $19."""
    own = sorted({*holds.invitations, *holds.calls})
    return [
        holds.capacity.calls,
        holds.capacity.invitations,
        own,
        [holds.invitations.get(guide) for guide in own],
        [holds.calls.get(guide) for guide in own],
    ]
