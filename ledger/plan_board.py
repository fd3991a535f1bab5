"""A plan's board: how its running cycle stands now, counted by the Check's own functions, by store and guide.

Nothing is kept that adds up: the figures are counted anew from the cycle's members, items, contacts and purchases each
time. Every row is found by an index of the cycle or of a member of it (`ledger.records.member_records`), so the cost grows
with the members of the cycle and what they did in it, not with the cycles and plans before (docs/performance.md, History).

Cost: about a dozen round trips, and five a `SLICE` of members. Members are counted slice by slice: memory holds one, and
between two of them whatever else the process has to do goes on. A cycle of 10,000 members took 0.8 s warm and 3
to 5 s cold on a busy machine; at that rate, not measured, one of 100,000 takes 8 s warm. For a store manager only what that
store's members did is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.calendar import business_date
from domain.errors import NotFound, Problem
from domain.figures import Figures, Row, add_up, by_store_and_guide
from domain.plan import Plan
from ledger import facts
from ledger.cycles import CycleState, read_cycle
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.plans import PlanState, read_plan
from ledger.records import Counting, Within, member_records
from ledger.sequencer import last_position
from ledger.watermarks import complete_until

SLICE = 2_000
"""Members counted at once."""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A store or guide; code and name are empty for members without either."""

    code: str
    name: str
    figures: Figures
    open_today: int
    """Items that are open and due today or before."""


@dataclass(frozen=True, slots=True)
class PlanBoard:
    """The newest cycle of a plan as it stands at `as_of`."""

    plan: Plan
    status: str
    cycle: int
    state: str
    """Of the cycle: running, checked or settled."""
    starts_on: date
    ends_on: date
    time_zone: str
    as_of: datetime
    position: int
    """The ledger's last when it was counted."""
    total: Figures
    """Of the plan; of the stores in reach where `whole` is false."""
    open_today: int
    stores: tuple[BoardRow, ...]
    guides: tuple[BoardRow, ...]
    complete_until: Mapping[str, datetime | None]
    """By kind of data, up to when it is complete; None: no source says so."""
    whole: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What the asker may know of the cycle."""

    standing: PlanState
    state: CycleState
    within: Within | None


async def read_plan_board(ledger: Ledger, plan_id: str, *, at: datetime, in_reach: bool = False) -> PlanBoard:
    """The board of a plan's newest cycle, in one snapshot.

    Args:
        ledger: the brand's; with somebody standing on it where `in_reach`.
        plan_id: the plan.
        at: now; nothing that occurred or was known later counts.
        in_reach: of the stores and guides in the asker's reach only. What is counted is read for upkeep: a contact in a
            store that the asker does not see may win a purchase of a member whom they do.

    Raises:
        NotFound: no such plan, or none in reach; or no cycle of it has started.
    """
    async with ledger.connection() as connection:
        known = await _known(connection, ledger.tenant_id, plan_id, in_reach=in_reach)
    async with (
        ledger.for_upkeep().connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await _board(connection, ledger.tenant_id, known, at)


# As `check_in_reach` cuts a stored Check.
_REACH = """
SELECT coalesce(sees_all(), false) OR $1 = ANY (reach_plans('plans')) AS whole, reach('stores') AS stores,
       reach('days') || ARRAY(
           SELECT g FROM unnest(reach('moved')) g WHERE cycle_in_reach(g, $1, $2, 'stores')) AS guides"""


async def _known(connection: Driver, tenant_id: int, plan_id: str, *, in_reach: bool) -> _Known:
    standing = await read_plan(connection, tenant_id, plan_id)
    state = await read_cycle(connection, tenant_id, plan_id, standing.cycle)
    if state is None:
        raise NotFound(Problem("plan", plan_id, "no_cycle_yet"))
    if not in_reach:
        return _Known(standing, state, None)
    reach = await connection.fetchrow(_REACH, plan_id, standing.cycle)
    if reach["whole"]:
        return _Known(standing, state, None)
    if not reach["stores"]:
        raise NotFound(Problem("plan", plan_id, "unknown_plan"))
    return _Known(standing, state, Within(frozenset(reach["stores"]), frozenset(reach["guides"])))


async def _board(connection: Driver, tenant_id: int, known: _Known, at: datetime) -> PlanBoard:
    standing, state = known.standing, known.state
    plan, (start, end) = standing.plan, state.span
    position = await last_position(connection, tenant_id)
    categories = await facts.category_ids(connection, tenant_id, plan.members.bought_categories)
    stores: dict[str | None, list[Figures]] = {}
    guides: dict[str | None, list[Figures]] = {}
    counting = Counting(
        plan.plan, standing.cycle, sorted(categories.values()), start, at, plan.attribution_window
    )
    async for members in member_records(connection, tenant_id, counting, within=known.within, at_once=SLICE):
        counted = by_store_and_guide(
            members, cycle_start=start, cycle_end=end, as_of=at, zone=state.time_zone, window=plan.attribution_window
        )  # fmt: skip
        for parts, rows in zip((stores, guides), counted, strict=True):
            for row in rows:
                parts.setdefault(row.key, []).append(row.figures)
    still_open = await _open_items(
        connection, tenant_id, plan.plan, standing.cycle, business_date(at, state.time_zone)
    )
    by_store, by_guide = _cut(stores, known.within, "stores"), _cut(guides, known.within, "guides")
    open_stores: dict[str, int] = {}
    for _, store, number in still_open:
        open_stores[store] = open_stores.get(store, 0) + number
    open_guides = {guide: number for guide, _, number in still_open}
    store_rows = await _named(
        connection, tenant_id, by_store, _seen(open_stores, known.within, "stores"), _STORES
    )
    guide_rows = await _named(
        connection, tenant_id, by_guide, _seen(open_guides, known.within, "guides"), _GUIDES
    )
    return PlanBoard(
        plan=plan,
        status=standing.status,
        cycle=standing.cycle,
        state=state.state,
        starts_on=state.starts_on,
        ends_on=state.ends_on,
        time_zone=state.time_zone,
        as_of=at,
        position=position,
        total=add_up(row.figures for row in store_rows),
        open_today=sum(row.open_today for row in store_rows),
        stores=store_rows,
        guides=guide_rows,
        complete_until=await complete_until(connection, tenant_id, at),
        whole=known.within is None,
    )


def _cut(parts: Mapping[str | None, list[Figures]], within: Within | None, kind: str) -> list[Row]:
    """Of the stores or guides in reach only: whom they share members with is somebody else's."""
    seen = _ids(within, kind)
    return [Row(key, add_up(figures)) for key, figures in parts.items() if seen is None or key in seen]


def _seen(numbers: Mapping[str, int], within: Within | None, kind: str) -> dict[str, int]:
    seen = _ids(within, kind)
    return {key: number for key, number in numbers.items() if seen is None or key in seen}


def _ids(within: Within | None, kind: str) -> frozenset[str] | None:
    return None if within is None else frozenset(str(one) for one in getattr(within, kind))


async def _open_items(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int, today: date
) -> list[tuple[str, str, int]]:
    """Guide, her store and how many of the cycle's items she has open that are due by today."""
    rows = await connection.fetch(
        """
        SELECT t.guide_id, g.store_id, count(*)::int AS number FROM task t
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id
        WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND t.state = 'open' AND t.due_on <= $4
        GROUP BY 1, 2""",
        tenant_id,
        plan_id,
        cycle,
        today,
    )
    return [(str(row["guide_id"]), str(row["store_id"]), row["number"]) for row in rows]


_STORES = "SELECT store_id AS id, code, name FROM store WHERE tenant_id = $1 AND store_id = ANY($2)"
_GUIDES = """
SELECT g.guide_id AS id, g.code, coalesce(p.name, '') AS name FROM guide g
LEFT JOIN guide_person p ON p.tenant_id = $1 AND p.guide_id = g.guide_id
WHERE g.tenant_id = $1 AND g.guide_id = ANY($2)"""


async def _named(
    connection: Driver, tenant_id: int, counted: Iterable[Row], still_open: Mapping[str, int], names: str
) -> tuple[BoardRow, ...]:
    """A row for whoever has figures or something to do; by code, members without either last."""
    figures = {row.key or "": row.figures for row in counted}
    keys = [*figures, *(key for key in still_open if key not in figures)]
    rows = await connection.fetch(names, tenant_id, [UUID(key) for key in keys if key])
    named = {str(row["id"]): row for row in rows}
    result = []
    for key in keys:
        known = named.get(key)
        code, name = (known["code"], known["name"]) if known else ("", "")
        result.append(BoardRow(code, name, figures.get(key, Figures()), still_open.get(key, 0)))
    return tuple(sorted(result, key=lambda row: (not row.code, row.code)))
