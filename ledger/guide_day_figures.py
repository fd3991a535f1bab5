"""What guides' days came to at a moment, by guide, day and plan, counted in items: the rows of the evening's boards.

What was on a list is told by the events of the day (`list_published`, `list_extended`, `list_shortened`, `day_closed`),
what was done by the reports that held at the moment, what carried over and expired by the close or its newest count. So a
board asked for again at its moment is the same, and of a closed day its sums are those of the version that stood then.
Items count as `ledger.closing` counts them: with a report by the guide on that day.

Cost: one round trip, and two for each `DAYS_AT_ONCE` guide-days of the span. Rows: the items on the lists of the span and the reports on them; events are looked for since two days
before the span, so the years before cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from uuid import UUID

from domain.board_span import Span
from domain.errors import Problem, Refused
from domain.evening import SUCCESSES, Stage
from ledger.board_moment import Moment, held, told
from ledger.closing import ABSENT
from ledger.door import Driver
from ledger.performances import MOST_ITEMS

DAYS_AT_ONCE = 400
"""Guide-days that are counted in one statement: some 20,000 items, well within the time a statement is given."""


@dataclass(frozen=True, slots=True)
class ItemFigures:
    """Items, each counted once in every figure it belongs to.

    `calls` and `invitations`: with a report of the guide that day, by kind. `complaints`: with a complaint that day of a
    member who has not been reached since. `conflicts`: with a report that stands against another's or a paused plan's, for the supervisor to see.
    """

    listed: int = 0
    calls: int = 0
    invitations: int = 0
    reached: int = 0
    success: int = 0
    booked: int = 0
    came: int = 0
    joined: int = 0
    added: int = 0
    late: int = 0
    corrected: int = 0
    complaints: int = 0
    conflicts: int = 0

    @property
    def done(self) -> int:
        """With a report of the guide that day."""
        return self.calls + self.invitations

    @property
    def stages(self) -> Mapping[Stage, int]:
        """As they are scored."""
        return {
            "calls": self.calls,
            "invitations": self.invitations,
            "reached": self.reached,
            "success": self.success,
        }


_NAMES = tuple(one.name for one in fields(ItemFigures))


def add_items(parts: Iterable[ItemFigures]) -> ItemFigures:
    """The items of different plans, guides or days."""
    every = list(parts)
    return ItemFigures(**{name: sum(getattr(one, name) for one in every) for name in _NAMES})


@dataclass(frozen=True, slots=True)
class GuideDayFigures:
    """A guide's day at the moment.

    Attributes:
        guide_id: whose.
        day: the business date.
        target_calls: what was asked of her; None: targets were not told then.
        target_invitations: the same.
        plans: her items by plan.
        version: of the figures of a closed day; None: it was not closed yet.
        carried: items left open at the close; None as above.
        expired: items that expired at the close; None as above.
        absent: it was closed because she was not there.
    """

    guide_id: UUID
    day: date
    target_calls: int | None
    target_invitations: int | None
    plans: Mapping[str, ItemFigures] = field(default_factory=dict)
    version: int | None = None
    carried: int | None = None
    expired: int | None = None
    absent: bool = False

    @property
    def items(self) -> ItemFigures:
        """Of all plans."""
        return add_items(self.plans.values())


# $1 brand, $2 instant, $3 position or null, $4 guides, $5 and $6 first and last day
_SAID = f"""
days AS (
    SELECT d.guide_id, d.business_date AS day, d.target_calls, d.target_invitations,
           'guide-day/' || d.guide_id || '/' || d.business_date AS stream
    FROM guide_day d
    WHERE d.tenant_id = $1 AND d.guide_id = ANY($4) AND d.business_date BETWEEN $5::date AND $6::date
      AND coalesce(d.published_at, d.closed_at) <= $2
), said AS (
    SELECT d.guide_id, d.day, v.version, v.type, v.payload FROM days d
    JOIN event v ON v.tenant_id = $1 AND v.stream = d.stream AND v.known_at >= $5::date - interval '2 days'
      AND v.type IN ('list_published', 'list_extended', 'list_shortened', 'day_closed', 'day_recounted')
      AND {told("v.known_at", "v.stream", "v.version")}
)"""
_CLOSES = f"""
WITH {_SAID}
SELECT d.guide_id, d.day, d.target_calls, d.target_invitations, c.version, c.carried, c.expired,
       coalesce(c.absent, false) AS absent
FROM days d LEFT JOIN (
    SELECT DISTINCT ON (guide_id, day) guide_id, day, coalesce((payload->>'version')::integer, 1) AS version,
           (payload->>'carried')::integer AS carried, (payload->>'expired')::integer AS expired,
           bool_or(payload->>'reason' = '{ABSENT}' AND type = 'day_closed') OVER (PARTITION BY guide_id, day) AS absent
    FROM said s WHERE type IN ('day_closed', 'day_recounted') ORDER BY guide_id, day, s.version DESC
) c USING (guide_id, day)
WHERE EXISTS (SELECT FROM said s WHERE s.guide_id = d.guide_id AND s.day = d.day)
ORDER BY d.guide_id, d.day"""

_REPORTS = held(
    "k.task_id, k.member_id, k.guide_id, k.business_date AS day, k.outcome, k.reached, k.late, k.corrects, k.conflict, k.occurred_at, k.version",
    "k.guide_id = ANY($4) AND k.business_date BETWEEN $5 AND $6",
)
_SETTLED = f"""
    SELECT FROM complaint_case c JOIN event v ON v.tenant_id = $1 AND v.stream = 'case/' || c.case_id
        AND v.known_at >= c.opened_at AND v.type = 'case_closed' AND v.occurred_at >= r.occurred_at
        AND {told("v.known_at", "v.stream", "v.version")}
    WHERE c.tenant_id = $1 AND c.task_id = r.task_id"""
_SUCCESS = ", ".join(f"'{one}'" for one in SUCCESSES)
_ITEMS = f"""
WITH {_SAID}, item AS (
    SELECT s.guide_id, s.day, i.task::uuid AS task_id,
           (array_agg(s.type ORDER BY s.version DESC))[1] <> 'list_shortened' AS on_list
    FROM said s CROSS JOIN jsonb_array_elements_text(s.payload->'tasks') AS i(task)
    WHERE s.type <> 'day_recounted' GROUP BY 1, 2, 3
), report AS (
    SELECT r.task_id, r.guide_id, r.day, bool_or(r.reached) AS reached, bool_or(r.outcome IN ({_SUCCESS})) AS success,
           bool_or(r.outcome = 'booked_visit') AS booked, bool_or(r.outcome = 'came') AS came,
           bool_or(r.outcome = 'joined_group') AS joined, bool_or(r.outcome = 'added_friend') AS added,
           bool_or(r.late) AS late, bool_or(r.corrects IS NOT NULL) AS corrected,
           bool_or(r.conflict IS NOT NULL) AS conflict,
           bool_or(r.outcome = 'complaint' AND NOT EXISTS ({_SETTLED})) AS complaint
    FROM ({_REPORTS}) r GROUP BY 1, 2, 3
)
SELECT i.guide_id, i.day, t.plan_id, count(*) FILTER (WHERE i.on_list)::int AS listed,
       count(r.task_id) FILTER (WHERE NOT k.invitation)::int AS calls,
       count(r.task_id) FILTER (WHERE k.invitation)::int AS invitations,
       count(*) FILTER (WHERE r.reached)::int AS reached, count(*) FILTER (WHERE r.success)::int AS success,
       count(*) FILTER (WHERE r.booked)::int AS booked, count(*) FILTER (WHERE r.came)::int AS came,
       count(*) FILTER (WHERE r.joined)::int AS joined, count(*) FILTER (WHERE r.added)::int AS added,
       count(*) FILTER (WHERE r.late)::int AS late, count(*) FILTER (WHERE r.corrected)::int AS corrected,
       count(*) FILTER (WHERE r.complaint)::int AS complaints, count(*) FILTER (WHERE r.conflict)::int AS conflicts
FROM item i
JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
JOIN (SELECT plan_id, coalesce(spec->'means'->0->>'item', 'call') = 'invitation' AS invitation FROM plan
      WHERE tenant_id = $1) k ON k.plan_id = t.plan_id
LEFT JOIN report r ON r.task_id = i.task_id AND r.guide_id = i.guide_id AND r.day = i.day
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


async def read_guide_days(
    connection: Driver, tenant_id: int, guides: Sequence[UUID], span: Span, moment: Moment
) -> list[GuideDayFigures]:
    """The days with a list that was published or closed at the moment, by guide and date.

    Args:
        connection: that sees everything, in a snapshot of its own: the worker's, or one for upkeep.
        tenant_id: the brand.
        guides: whose.
        span: business dates.
        moment: as of which.

    Raises:
        Refused: there are more items on the lists than one board holds.
    """
    listed = await connection.fetchval(
        "SELECT coalesce(sum(listed), 0) FROM guide_day WHERE tenant_id = $1 AND guide_id = ANY($2)"
        " AND business_date BETWEEN $3 AND $4",
        tenant_id,
        list(guides),
        span.since,
        span.until,
    )
    if listed > MOST_ITEMS:
        raise Refused([Problem("span", str(listed), "board_too_big", {"most": MOST_ITEMS})])
    ordered, at_once = sorted(guides), max(1, DAYS_AT_ONCE // span.days)
    found: list[GuideDayFigures] = []
    for begin in range(0, len(ordered), at_once):
        found += await _read(connection, tenant_id, ordered[begin : begin + at_once], span, moment)
    return found


async def _read(
    connection: Driver, tenant_id: int, guides: list[UUID], span: Span, moment: Moment
) -> list[GuideDayFigures]:
    arguments = (tenant_id, moment.at, moment.position, guides, span.since, span.until)
    closes = await connection.fetch(_CLOSES, *arguments)
    plans: dict[tuple[UUID, date], dict[str, ItemFigures]] = {}
    for row in await connection.fetch(_ITEMS, *arguments):
        figures = ItemFigures(**{name: row[name] for name in _NAMES})
        plans.setdefault((row["guide_id"], row["day"]), {})[row["plan_id"]] = figures
    return [
        GuideDayFigures(**dict(row), plans=plans.get((row["guide_id"], row["day"]), {})) for row in closes
    ]
