"""The demo as a newcomer runs it, counted again by SQL that shares no code with the figures."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.embedded_postgres import running_postgres
from tests.recounted import Rows, recount, stored_rows

PLAN = "replenishment-autumn"
KINDS = ("provisional", "settled")
COLD_SECONDS = 360
"""What a newcomer may wait on a machine that never ran it."""
KEYS = [
    "members_selected",
    "members_assigned",
    "members_unassigned",
    "guide_days",
    "tasks",
    "check_ins",
    "members_due",
    "members_attempted",
    "members_followed_up",
    "completion_rate",
    "members_window_closed",
    "members_succeeded",
    "success_rate",
    "members_provisional",
    "members_withdrawn",
    "members_repurchased",
    "revenue",
    "temporal_events",
    "temporal_events_per_guide_day",
    "ledger_events",
    "ledger_ok",
    "import_rows_per_s",
    "copy_rows_per_s",
    "wall_seconds",
]


@dataclass(frozen=True)
class Demo:
    home: Path
    told: dict[str, Any]
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--json"],
        env={**os.environ, "DAOGOU_HOME": str(home)},
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=420,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    summary = json.loads((home / "demo" / "summary.json").read_text(encoding="utf-8"))
    return Demo(home, json.loads(done.stdout), summary)


@dataclass(frozen=True)
class Recounted:
    """What SQL of its own counts, and what is stored."""

    counted: dict[str, Any]
    stored: dict[str, Rows]


@pytest.fixture(scope="module")
def recounted(demo: Demo) -> dict[str, Recounted]:
    """Both kinds of figures, the server started once for them."""

    async def count(url: str) -> dict[str, Recounted]:
        return {
            kind: Recounted(await recount(url, PLAN, 1, kind), await stored_rows(url, PLAN, 1, kind))
            for kind in KINDS
        }

    with running_postgres(demo.home) as (_, address):
        return asyncio.run(count(address.url("demo")))


def test_the_summary_has_every_promised_figure(demo: Demo) -> None:
    assert [key for key in KEYS if key not in demo.summary] == []


def test_the_demo_is_large_enough_to_mean_something(demo: Demo) -> None:
    assert demo.summary["members_selected"] >= 400
    assert demo.summary["members_assigned"] >= 400
    assert demo.summary["tasks"] >= 1_000
    assert demo.summary["members_unassigned"] > 0
    assert demo.summary["members_provisional"] > 0
    assert demo.summary["members_withdrawn"] > 0


def test_every_recorded_purchase_line_is_imported(demo: Demo) -> None:
    assert demo.summary["import_rows"] == 1_469_307


def test_the_ledger_of_the_demo_verifies(demo: Demo) -> None:
    assert demo.summary["ledger_ok"] is True
    assert demo.summary["ledger_events"] > demo.summary["tasks"] + demo.summary["check_ins"]


def test_a_guide_day_costs_at_most_25_temporal_events_with_everything_counted(demo: Demo) -> None:
    assert demo.summary["temporal_events_per_guide_day"] <= 25
    assert demo.summary["temporal_events_longest_guide_day"] <= 25


def test_an_independent_sql_recount_gives_the_same_figures(
    demo: Demo, recounted: dict[str, Recounted]
) -> None:
    expected = {
        key: demo.summary[key] for key in KEYS if key.startswith("members_") or key in {"tasks", "check_ins"}
    }
    expected["guide_days"] = demo.summary["guide_days"]
    counted = dict(recounted["provisional"].counted)
    revenue = counted.pop("revenue_minor")
    assert {key: count for key, count in counted.items() if key not in {"stores", "guides"}} == expected
    assert revenue == round(demo.summary["revenue"] * 100)


@pytest.mark.parametrize("kind", KINDS)
def test_an_independent_sql_recount_gives_every_store_and_guide_the_same_figures(
    recounted: dict[str, Recounted], kind: str
) -> None:
    counted, stored = recounted[kind].counted, recounted[kind].stored
    assert {name: counted[name] for name in stored} == stored
    assert all(len(stored[name]) > 1 for name in ("stores", "guides"))
    assert sum(row[3] for row in counted["guides"].values()) == counted["revenue_minor"]


def test_a_newcomer_sees_the_end_of_the_demo_within_six_minutes(demo: Demo) -> None:
    assert demo.summary["wall_seconds"] <= COLD_SECONDS


def test_rates_are_the_counts_divided(demo: Demo) -> None:
    told = demo.summary
    assert told["completion_rate"] == pytest.approx(
        100 * told["members_followed_up"] / told["members_due"], abs=0.05
    )
    assert told["success_rate"] == pytest.approx(
        100 * told["members_succeeded"] / told["members_window_closed"], abs=0.05
    )
