"""The report of a cycle: a stored Check with names put to it, and who could not be assigned and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.confirmation import NO_CLAIMS, Claims, add_claims
from domain.errors import NotFound, Problem
from domain.figures import Figures
from domain.plan import Plan
from ledger.cycles import read_check, read_check_in_reach, read_cycle
from ledger.door import Driver
from ledger.plans import read_plan


@dataclass(frozen=True, slots=True)
class ReportRow:
    """Figures of a store or guide; code and name are empty for members without either."""

    code: str
    name: str
    figures: Figures
    claims: Claims = NO_CLAIMS
    """How its check-ins stand against systems of record."""


@dataclass(frozen=True, slots=True)
class UnassignedReason:
    """How many members nobody could take for one chain of reasons: (strategy, reason) in the order tried."""

    tried: tuple[tuple[str, str], ...]
    members: int


def by_reasons(tried: Iterable[tuple[tuple[str, str], ...]]) -> tuple[UnassignedReason, ...]:
    """Members nobody could take, each by its chain of reasons: counted, the most frequent chain first."""
    count = Counter(tried)
    ordered = sorted(count, key=lambda chain: (-count[chain], chain))
    return tuple(UnassignedReason(chain, count[chain]) for chain in ordered)


@dataclass(frozen=True, slots=True)
class Report:
    """What a supervisor reads: every figure with its counts, as of an instant and a ledger position."""

    plan: Plan
    status: str
    cycle: int
    kind: str
    as_of: datetime
    position: int
    starts_on: date
    ends_on: date
    time_zone: str
    """On whose calendar and clocks the cycle runs."""
    total: Figures
    """Of the plan; of the stores in reach where `whole` is false: a member belongs to one store, so they add up."""
    stores: tuple[ReportRow, ...]
    guides: tuple[ReportRow, ...]
    assigned: int
    unassigned: tuple[UnassignedReason, ...]
    tasks: int
    check_ins: int
    guide_days: int
    claims: Claims = NO_CLAIMS
    """Of the plan, or of the stores in reach; all nothing in Checks of before there were systems of record."""
    complete_until: Mapping[str, datetime | None] = field(default_factory=dict)
    """By kind, up to when the data was complete when it was counted; None: no source says so."""
    whole: bool = True
    """Whether this is the whole plan. Where it is not, what was counted of the plan as a whole stands at 0."""


async def read_report(
    connection: Driver,
    tenant_id: int,
    plan_id: str,
    *,
    cycle: int | None = None,
    kind: str = "provisional",
    in_reach: bool = False,
) -> Report:
    """The report of a cycle (the newest where none is named) as its Check was stored.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        plan_id: the plan.
        cycle: its number.
        kind: provisional or settled.
        in_reach: as far as whoever stands on the connection reaches (`ledger.asking`).

    Raises:
        NotFound: no such plan, or its cycle has not been checked yet.
    """
    standing = await read_plan(connection, tenant_id, plan_id)
    number = cycle or standing.cycle
    state = await read_cycle(connection, tenant_id, plan_id, number)
    stored = (
        await read_check_in_reach(connection, plan_id, number, kind)
        if in_reach
        else await read_check(connection, tenant_id, plan_id, number, kind)
    )
    if state is None or stored is None:
        raise NotFound(Problem("cycle", str(number), "not_checked_yet", {"plan": plan_id, "kind": kind}))
    as_of, position, figures = stored
    whole = "total" in figures
    claims = figures.get("claims", {})
    return Report(
        plan=standing.plan,
        status=standing.status,
        cycle=number,
        kind=kind,
        as_of=as_of,
        position=position,
        starts_on=state.starts_on,
        ends_on=state.ends_on,
        time_zone=state.time_zone,
        total=Figures(**figures["total"]) if whole else _sum(figures["stores"]),
        stores=await _rows(
            connection, tenant_id, figures["stores"], claims.get("stores", ()), "store", _STORES
        ),
        guides=await _rows(
            connection, tenant_id, figures["guides"], claims.get("guides", ()), "guide", _GUIDES
        ),
        assigned=figures.get("assigned", 0),
        unassigned=await _unassigned(connection, tenant_id, plan_id, number),
        tasks=figures.get("tasks", 0),
        check_ins=figures.get("check_ins", 0),
        guide_days=figures.get("guide_days", 0),
        claims=Claims(**claims["total"])
        if "total" in claims
        else add_claims(_claims(row, "store") for row in claims.get("stores", ())),
        complete_until={
            name: None if until is None else datetime.fromisoformat(until)
            for name, until in figures.get("complete_until", {}).items()
        },
        whole=whole,
    )


def _sum(rows: list[dict[str, Any]]) -> Figures:
    names = [field.name for field in fields(Figures)]
    return Figures(**{name: sum(row[name] for row in rows) for name in names})


_STORES = "SELECT store_id AS id, code, name FROM store WHERE tenant_id = $1 AND store_id = ANY($2)"
_GUIDES = """
SELECT g.guide_id AS id, g.code, coalesce(p.name, '') AS name FROM guide g
LEFT JOIN guide_person p ON p.tenant_id = $1 AND p.guide_id = g.guide_id
WHERE g.tenant_id = $1 AND g.guide_id = ANY($2)"""


def _claims(row: Mapping[str, Any], key: str) -> Claims:
    return Claims(**{name: value for name, value in row.items() if name != key})


async def _rows(
    connection: Driver,
    tenant_id: int,
    rows: Sequence[Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]],
    key: str,
    names: str,
) -> tuple[ReportRow, ...]:
    """A row for whoever has figures or claims."""
    figures = {row[key]: Figures(**{name: one for name, one in row.items() if name != key}) for row in rows}
    claimed = {row[key]: _claims(row, key) for row in claims}
    ids = [UUID(one) for one in {*figures, *claimed} if one]
    named = {str(row["id"]): row for row in await connection.fetch(names, tenant_id, ids)}
    result = []
    for one in (*figures, *(one for one in claimed if one not in figures)):
        known = named.get(one or "")
        code, name = (known["code"], known["name"]) if known else ("", "")
        result.append(ReportRow(code, name, figures.get(one, Figures()), claimed.get(one, NO_CLAIMS)))
    return tuple(sorted(result, key=lambda row: (not row.code, row.code)))


async def _unassigned(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int
) -> tuple[UnassignedReason, ...]:
    rows = await connection.fetch(
        "SELECT tried::text AS tried, count(*) AS members FROM plan_member"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 AND guide_id IS NULL"
        " GROUP BY 1 ORDER BY 2 DESC, 1",
        tenant_id,
        plan_id,
        cycle,
    )
    return tuple(
        UnassignedReason(tuple((step, reason) for step, reason in json.loads(row["tried"])), row["members"])
        for row in rows
    )
