"""The brand whose history is measured: stores, guides, members with their keys, accounts, the plans that run.

Everybody's day has the same size however many lie behind it: what grows is the past (`bench.history.past`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import polars as pl

from bench.brand import SECRET, ZONE, guide_id
from bench.identity import issue_identity
from domain.calendar import local_instant
from domain.identifiers import personal_id
from domain.playbook import parse_plan
from domain.policy import Role
from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.databases import ensure_tenant
from ledger.account_places import Grant
from ledger.ledger import Command, Ledger
from ledger.plans import launch

TODAY = date(2026, 3, 27)
"""Nine days of the running cycle and more than the month before it are closed: March is full, whatever the past."""
DAYS_INTO_CYCLE = 9
MEMBERS_AT_ONCE = 20_000


def at(hour: int, minute: int = 0, *, day: date = TODAY) -> datetime:
    """An instant by the stores' clocks."""
    return local_instant(day, time(hour, minute), ZONE)


@dataclass(frozen=True, slots=True)
class Shape:
    """A brand: in every cycle each member has one item, and every guide `items_a_day` of them on each of its days."""

    plans: int
    """Running at once, each in stores of its own."""
    stores_a_plan: int
    guides_a_store: int
    items_a_day: int
    """Of a guide."""
    days_a_cycle: int
    cycles_a_plan: int = 10
    """As many past cycles the running plans have at most; those before were of plans that are closed."""

    @property
    def stores(self) -> int:
        """In all."""
        return self.plans * self.stores_a_plan

    @property
    def guides(self) -> int:
        """In all."""
        return self.stores * self.guides_a_store

    @property
    def members_a_guide(self) -> int:
        """Each has one item a cycle."""
        return self.items_a_day * self.days_a_cycle

    @property
    def items_a_cycle(self) -> int:
        """Of the whole brand."""
        return self.guides * self.members_a_guide

    @property
    def guide_codes(self) -> list[str]:
        """G0, G1 … store by store."""
        return [f"G{number}" for number in range(self.guides)]

    def store_of(self, guide: int) -> int:
        """Number of the guide's store."""
        return guide // self.guides_a_store

    def plan_of(self, guide: int) -> int:
        """Number of the plan that runs in the guide's store."""
        return self.store_of(guide) // self.stores_a_plan

    def cycle_starts(self, back: int) -> date:
        """First day of the cycle so many before the running one; every day is a business day."""
        return TODAY - timedelta(days=DAYS_INTO_CYCLE + back * self.days_a_cycle)


def running_plan(number: int) -> str:
    """The plan that runs now in the stores of this number."""
    return f"bench-{number}"


async def import_brand(ledger: Ledger, shape: Shape) -> None:
    """Stores, guides and members, by the product's own import.

    Raises:
        SystemExit: the import refuses it: nothing would be measured.
    """
    await ensure_tenant(ledger, SECRET)
    stores = [f"S{number}" for number in range(shape.stores)]
    await _import(ledger, Kind.STORES, {"code": stores, "name": stores, "region": ["R"] * len(stores)})
    codes = shape.guide_codes
    of = [f"S{shape.store_of(number)}" for number in range(len(codes))]
    await _import(ledger, Kind.GUIDES, {"code": codes, "name": codes, "store": of})
    for first in range(0, shape.items_a_cycle, MEMBERS_AT_ONCE):
        numbers = range(first, min(first + MEMBERS_AT_ONCE, shape.items_a_cycle))
        await _import(ledger, Kind.MEMBERS, {
            "code": [f"M{number}" for number in numbers],
            "name": [f"Wang {number}" for number in numbers],
            "phone": [f"138{number:08}" for number in numbers],
            "store": [of[number // shape.members_a_guide] for number in numbers],
        })  # fmt: skip


async def _import(ledger: Ledger, kind: Kind, columns: dict[str, list[str]]) -> None:
    report = await import_frame(
        ledger.engine, Tenant(1, SECRET, ledger.keys), kind, pl.DataFrame(columns), known_at=at(12, day=shape_start()),
        actor="bench",
    )  # fmt: skip
    if report.refused:
        raise SystemExit(f"the brand of the benchmark is refused: {report.bad[:3]}")


def shape_start() -> date:
    """Before every past there is."""
    return date(2010, 1, 1)


async def launch_plans(ledger: Ledger, shape: Shape) -> None:
    """The plans that run; which cycle they are in is the past's to say."""
    async with ledger.transaction() as connection:
        await connection.execute("SELECT ensure_event_partitions($1, $1)", shape_start())
    for number in range(shape.plans):
        first = number * shape.stores_a_plan
        plan = parse_plan({
            "plan": running_plan(number),
            "name": f"Tins {number}",
            "period": {
                "start": shape.cycle_starts(0).isoformat(),
                "working_days": shape.days_a_cycle,
                "cycles": shape.cycles_a_plan + 1,
            },
            "members": {
                "bought_categories": ["TIN"],
                "within_days": 180,
                "stores": [f"S{store}" for store in range(first, first + shape.stores_a_plan)],
            },
            "care": {
                "strategies": [{"strategy": "reception"}],
                "members_per_guide": 10_000,
                "items_per_day": shape.items_a_day,
            },
            "goal": {"measure": "completion_rate", "target": 80, "by": "2026-12-31"},
            "means": [{"name": "Reminder", "script": "Hello", "days_per_unit": {"TIN": 7}}],
        })  # fmt: skip
        async with ledger.transaction() as connection:
            command = Command(f"plan/{plan.plan}/launch", at(8), at(8), "bench")
            await launch(connection, ledger.tenant_id, command, plan)


async def issue_tokens(ledger: Ledger, shape: Shape) -> tuple[dict[str, str], str]:
    """A token a guide, by code, and one of HQ."""
    since = at(1)
    guides = {
        code: await issue_identity(
            ledger, f"guide.{code}", Grant(Role.GUIDE), at=since, guide_id=guide_id(code)
        )
        for code in shape.guide_codes
    }
    return guides, await issue_identity(ledger, "bench.hq", Grant(Role.HQ), at=since)


def members_in_order(shape: Shape) -> Sequence[tuple[int, int, object, object, int]]:
    """Guide's number, slot, guide, member and plan's number, in the order in which a cycle's days bring them up."""
    guides = [guide_id(code) for code in shape.guide_codes]
    return [
        (
            guide,
            slot,
            guides[guide],
            personal_id(SECRET, "member", f"M{guide * shape.members_a_guide + slot}"),
            shape.plan_of(guide),
        )
        for slot in range(shape.members_a_guide)
        for guide in range(shape.guides)
    ]
