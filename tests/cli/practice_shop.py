"""The practice brand in a database of its own, with its plan launched and its members selected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from activities.assignment import AssignmentActivities
from activities.context import Context
from domain.messages import PlanStep
from infra.clock import now
from infra.databases import open_ledger
from infra.settings import Settings
from ledger.ledger import Ledger
from tests.cli.shop import Shop

T = TypeVar("T")


def in_ledger(shop: Shop, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """Run something on the shop's ledger."""

    async def run() -> T:
        async with open_ledger(Settings(home=shop.home, database=shop.database)) as (ledger, _):
            return await work(ledger)

    return asyncio.run(run())


def playbook(shop: Shop) -> Path:
    return shop.folder / "practice.yaml"


def seed(shop: Shop) -> None:
    done = shop.run("seed", "--to", str(playbook(shop)))
    assert done.exit_code == 0, done.output


def begin_cycle(shop: Shop) -> None:
    """What the plan's workflow does first."""

    async def start(ledger: Ledger) -> None:
        at = now()
        await AssignmentActivities(Context(ledger, lambda: at)).start_cycle(
            PlanStep(plan_id="practice", cycle=1, at=at)
        )

    in_ledger(shop, start)
