"""The brand of the benchmarks: stores with guides, each with a full list on one day of the past."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

import polars as pl

from activities.assignment import AssignmentActivities
from activities.context import Context
from activities.dispatch import DispatchActivities
from bench.identity import issue_identity
from domain.calendar import local_instant
from domain.identifiers import personal_id
from domain.messages import DayStep, GuideDayStep, PlanStep
from domain.playbook import parse_plan
from domain.policy import Role
from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.databases import ensure_tenant
from ledger.account_places import Grant
from ledger.ledger import Command, Ledger
from ledger.plans import launch

ZONE = "Asia/Shanghai"
DAY = date(2026, 3, 2)
SECRET = b"bench"
PLAN = "bench"
MOST_ON_A_LIST = 1_000


def at(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    """An instant of the benchmark's day, or of one before or after it."""
    return local_instant(DAY + timedelta(days=days), time(hour, minute), ZONE)


@dataclass(frozen=True, slots=True)
class BrandSize:
    """How much there is."""

    stores: int
    guides_a_store: int
    items: int
    """Of a guide."""

    @property
    def store_codes(self) -> list[str]:
        """S0, S1 and so on, in order."""
        return [f"S{number}" for number in range(self.stores)]

    @property
    def guide_codes(self) -> list[str]:
        """G0, G1 …, store by store."""
        return [f"G{number}" for number in range(self.stores * self.guides_a_store)]

    def store_of(self, guide: int) -> str:
        """The store of the guide of this number."""
        return f"S{guide // self.guides_a_store}"


def guide_id(code: str) -> UUID:
    """The id of the guide with this code."""
    return personal_id(SECRET, "guide", code)


async def issue_guide_token(ledger: Ledger, code: str) -> str:
    """An account of this guide, and a token of it."""
    return await issue_identity(ledger, f"guide.{code}", Grant(Role.GUIDE), at=at(1), guide_id=guide_id(code))


async def import_brand(ledger: Ledger, size: BrandSize) -> None:
    """Stores, guides, a member an item, and the purchase on which the item rests.

    Raises:
        SystemExit: the import refuses it: nothing would be measured.
    """
    await ensure_tenant(ledger, SECRET)
    guides = size.guide_codes
    members = [f"M{number}" for number in range(len(guides) * size.items)]
    served = [number // size.items for number in range(len(members))]
    frames = {
        Kind.STORES: pl.DataFrame({
            "code": size.store_codes,
            "name": size.store_codes,
            "region": ["R"] * size.stores,
        }),
        Kind.GUIDES: pl.DataFrame({
            "code": guides,
            "name": guides,
            "store": [size.store_of(number) for number in range(len(guides))],
        }),
        Kind.MEMBERS: pl.DataFrame({"code": members, "store": [size.store_of(number) for number in served]}),
        Kind.PURCHASES: pl.DataFrame({
            "basket": [f"B{member}" for member in members],
            "product": ["TIN-1"] * len(members),
            "category": ["TIN"] * len(members),
            "member": members,
            "store": [size.store_of(number) for number in served],
            "guide": [guides[number] for number in served],
            "occurred_at": [at(12, days=-23)] * len(members),
            "quantity": [4] * len(members),
            "value": [100] * len(members),
        }),
    }  # fmt: skip
    for kind, frame in frames.items():
        report = await import_frame(
            ledger.engine,
            Tenant(1, SECRET, ledger.keys),
            kind,
            frame,
            known_at=at(12, days=-1),
            actor="bench",
        )
        if report.refused:
            raise SystemExit(f"the brand of the benchmark is refused: {report.bad[:3]}")


async def launch_plan(ledger: Ledger, size: BrandSize) -> None:
    """A plan that asks for every member."""
    plan = parse_plan({
        "plan": PLAN,
        "name": "Tins",
        "period": {"start": DAY.isoformat(), "working_days": 5},
        "members": {"bought_categories": ["TIN"], "within_days": 180},
        "care": {
            "strategies": [{"strategy": "reception"}],
            "members_per_guide": 10_000,
            "items_per_day": min(size.items, MOST_ON_A_LIST),
        },
        "goal": {"measure": "completion_rate", "target": 80, "by": "2026-03-31"},
        "means": [{"name": "Reminder", "script": "Hello", "days_per_unit": {"TIN": 7}}],
    })  # fmt: skip
    async with ledger.transaction() as connection:
        command = Command(f"plan/{PLAN}/launch", at(8), at(8), "bench")
        await launch(connection, ledger.tenant_id, command, plan)


async def open_the_day(ledger: Ledger, publishing: list[str]) -> None:
    """The plan's cycle, the lists of the day, and those of the guides in `publishing` published."""
    context = Context(ledger, lambda: at(9))
    await AssignmentActivities(context).start_cycle(
        PlanStep(plan_id=PLAN, cycle=1, at=at(8, 30), rehearsal=True)
    )
    dispatch = DispatchActivities(context)
    await dispatch.cut_lists(DayStep(day=DAY, time_zone=ZONE, release="09:00", at=at(9), rehearsal=True))
    for code in publishing:
        step = GuideDayStep(guide_id=guide_id(code), day=DAY, at=at(9), rehearsal=True)
        await dispatch.publish_list(step)
