"""A small rehearsal of real purchases, run through everything: used by the workflow and replay tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import yaml

from domain.plan import Plan
from domain.playbook import parse_plan
from imports.complete_journey import purchases_frame

PLAYBOOK = Path(__file__).resolve().parent.parent / "playbooks" / "replenishment.yaml"


def small_plan(**changes: Any) -> Plan:
    """The demo's plan over two cycles of four days with few members; dotted keys change it."""
    written = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    small = {
        "plan": "small",
        "period.working_days": 4,
        "period.cycles": 2,
        "care.members_per_guide": 25,
        "care.items_per_day": 6,
    }
    for path, value in (small | changes).items():
        *parents, last = path.split(".")
        place = written
        for parent in parents:
            place = place[parent]
        place[last] = value
    return parse_plan(written)


def some_purchases(plan: Plan, *, households: int = 500) -> pl.DataFrame:
    """The plan's categories for the first households: a few thousand real lines."""
    return purchases_frame().filter(
        pl.col("category").is_in(list(plan.members.bought_categories)) & (pl.col("member") <= households)
    )
