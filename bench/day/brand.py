"""The brand whose day is measured: its stores, guides and plans by the product's own ways, its members and items set-based.

Every guide looks after as many members as her list holds; each member has one item, of one of the plans by turns, due today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import polars as pl

from bench.brand import DAY, SECRET, ZONE, guide_id
from domain.calendar import local_instant
from domain.plan import Plan
from domain.playbook import parse_plan
from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.databases import ensure_months, ensure_tenant
from ledger.ledger import Command, Ledger
from ledger.plans import launch

RELEASE = "09:00"
SINCE_BOUGHT = timedelta(days=23)
"""Four tins of seven days, less five lead days: what was bought so long ago is due today."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is, and when it is due."""

    guides: int
    items_a_guide: int = 50
    plans: int = 5
    guides_a_store: int = 10
    day: date = DAY
    time_zone: str = ZONE
    hours: Mapping[str, Any] = field(default_factory=lambda: {"release": RELEASE})
    """Of the plans' day, as a playbook has them."""

    @property
    def items(self) -> int:
        """Due in all."""
        return self.guides * self.items_a_guide

    @property
    def guide_ids(self) -> list[UUID]:
        """In the order of their stores."""
        return [guide_id(f"G{number}") for number in range(self.guides)]

    def at(self, hour: int, minute: int = 0) -> datetime:
        """An instant of the day by the stores' clocks."""
        return local_instant(self.day, time(hour, minute), self.time_zone)


def plan_id(number: int) -> str:
    """Of one of the plans."""
    return f"day-{number}"


async def write_brand(ledger: Ledger, admin_url: str, shape: Shape) -> None:
    """Stores, guides, plans, members and what these bought.

    Raises:
        SystemExit: the import refuses the brand: nothing would be measured.
    """
    await ensure_tenant(ledger, SECRET)
    await ensure_months(ledger, shape.day - timedelta(days=31), shape.day + timedelta(days=31))
    stores = [f"S{number}" for number in range(-(-shape.guides // shape.guides_a_store))]
    codes = [f"G{number}" for number in range(shape.guides)]
    await _import(ledger, Kind.STORES, shape, {
        "code": stores, "name": stores, "region": [f"R{number % 20}" for number in range(len(stores))],
        "time_zone": [shape.time_zone] * len(stores),
    })  # fmt: skip
    of = [f"S{number // shape.guides_a_store}" for number in range(shape.guides)]
    await _import(ledger, Kind.GUIDES, shape, {"code": codes, "name": codes, "store": of})
    await _write(admin_url, _BRAND, shape)
    for number in range(shape.plans):
        plan = _plan(number, shape)
        async with ledger.transaction() as connection:
            command = Command(f"plan/{plan.plan}/launch", shape.at(1), shape.at(1), "bench")
            await launch(connection, ledger.tenant_id, command, plan)


async def write_cycles(admin_url: str, shape: Shape) -> None:
    """The plans' cycles as they stand when they have begun: members with their guide, items that are due.

    Without their events: none of what is measured reads one.
    """
    await _write(admin_url, _CYCLES, shape)


async def _import(ledger: Ledger, kind: Kind, shape: Shape, columns: dict[str, list[str]]) -> None:
    tenant, known_at = Tenant(1, SECRET, ledger.keys), shape.at(0) - timedelta(days=30)
    report = await import_frame(
        ledger.engine, tenant, kind, pl.DataFrame(columns), known_at=known_at, actor="bench"
    )
    if report.refused:
        raise SystemExit(f"the brand of the benchmark is refused: {report.bad[:3]}")


def _plan(number: int, shape: Shape) -> Plan:
    day = shape.day.isoformat()
    return parse_plan({
        "plan": plan_id(number),
        "name": f"Tins {number}",
        "period": {"start": day, "working_days": 1},
        "members": {"bought_categories": [f"TIN{number}"], "within_days": 180},
        "care": {
            "strategies": [{"strategy": "reception"}],
            "members_per_guide": 10_000,
            "items_per_day": shape.items_a_guide,
        },
        "goal": {"measure": "completion_rate", "target": 80, "by": day},
        "means": [{"name": "Reminder", "script": "Hello", "days_per_unit": {f"TIN{number}": 7}}],
        "day": dict(shape.hours),
    })  # fmt: skip


# Parameters of all: $1 guides in order, $2 items a guide, $3 plans, $4 day, $5 when the cycles began, $6 when members bought.
_MEMBER = """
    SELECT n.no, n.no % $3::int AS plan, md5('member/' || n.no)::uuid AS member_id, h.guide_id, h.store_id
    FROM generate_series(0, cardinality($1::uuid[]) * $2::int - 1) AS n(no)
    JOIN guide h ON h.tenant_id = 1 AND h.guide_id = ($1::uuid[])[1 + n.no / $2::int]
    WHERE $4::date IS NOT NULL AND $5::timestamptz > $6::timestamptz"""

_BRAND = (
    f"""
    INSERT INTO category (tenant_id, category_id, name)
    SELECT DISTINCT 1, 1 + m.plan, 'TIN' || m.plan FROM ({_MEMBER}) m""",
    f"""
    INSERT INTO member (tenant_id, member_id, home_store_id, batch_id)
    SELECT 1, m.member_id, m.store_id, 1 FROM ({_MEMBER}) m""",
    f"""
    INSERT INTO purchase (tenant_id, basket, product, is_return, member_id, store_id, category_id, guide_id, occurred_at,
                          known_at, quantity, value_minor, batch_id)
    SELECT 1, 'b' || m.no, 'TIN-1', false, m.member_id, m.store_id, 1 + m.plan, m.guide_id, $6, $6, 4, 10000, 1
    FROM ({_MEMBER}) m""",
)
_CYCLES = (
    f"""
    INSERT INTO plan_cycle (tenant_id, plan_id, cycle, starts_on, ends_on, time_zone, state, days_per_unit, started_at)
    SELECT DISTINCT 1, '{plan_id(0)[:-1]}' || m.plan, 1, $4::date, $4::date, s.time_zone, 'running',
           jsonb_build_object((1 + m.plan)::text, '7'), $5::timestamptz
    FROM ({_MEMBER}) m JOIN store s ON s.tenant_id = 1 AND s.store_id = m.store_id""",
    f"UPDATE plan SET cycle = 1 WHERE EXISTS ({_MEMBER})",
    f"""
    INSERT INTO plan_member (tenant_id, plan_id, cycle, member_id, guide_id, strategy, why, value_minor, quadrant, grade)
    SELECT 1, '{plan_id(0)[:-1]}' || m.plan, 1, m.member_id, m.guide_id, 'reception', 'last_served',
           hashint4(m.no) & 65535, CASE WHEN m.no % 10 = 0 THEN 'key_value' ELSE 'regular_growth' END,
           CASE m.no % 7 WHEN 0 THEN 'A' WHEN 1 THEN 'B' WHEN 2 THEN 'C' END
    FROM ({_MEMBER}) m ORDER BY m.plan, m.member_id""",
    f"""
    INSERT INTO task (tenant_id, task_id, plan_id, cycle, member_id, category_id, guide_id, run_out_on, due_on,
                      first_due_on, bought_at, state, known_at)
    SELECT 1, md5('task/' || m.no)::uuid, '{plan_id(0)[:-1]}' || m.plan, 1, m.member_id, 1 + m.plan, m.guide_id, $4::date + 5,
           $4::date, $4::date - m.no % 4, $6, 'open', $5
    FROM ({_MEMBER}) m ORDER BY m.plan, 2""",
)  # fmt: skip


async def _write(admin_url: str, statements: tuple[str, ...], shape: Shape) -> None:
    connection = await asyncpg.connect(
        admin_url, server_settings={"search_path": "daogou", "timezone": "UTC", "statement_timeout": "0"}
    )
    try:
        for statement in statements:
            await connection.execute(
                statement,
                shape.guide_ids,
                shape.items_a_guide,
                shape.plans,
                shape.day,
                shape.at(1),
                shape.at(12) - SINCE_BOUGHT,
            )
    finally:
        await connection.close()
