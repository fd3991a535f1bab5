"""The workflows on the time-skipping server, with real purchases and real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from imports import made_up
from imports.report import Tenant
from infra.clock import now
from infra.databases import open_ledger
from infra.demo import import_all, launch_for_rehearsal
from infra.rehearsals import Rehearsed, rehearse
from infra.settings import Settings
from ledger.report import Report, read_report
from ledger.sequencer import sequence
from ledger.verify import Verification, verify
from tests.ledger.test_replay import counted_otherwise, replayed_otherwise
from tests.recounted import Rows, recount, stored_rows
from tests.rehearsed import small_plan, some_purchases


@dataclass(frozen=True)
class Run:
    rehearsed: Rehearsed
    reports: dict[tuple[int, str], Report]
    recounts: dict[tuple[int, str], dict[str, Any]]
    rows: dict[tuple[int, str], dict[str, Rows]]
    verification: Verification
    events: list[tuple[str, int, str, str]]
    lists: list[tuple[int, int]]
    outbox: list[str]
    replayed: list[tuple[Any, Any]]
    """Rows that replaying what happened gives otherwise, with what it gives; guide-days that are counted otherwise."""
    histories: dict[str, list[dict[str, Any]]]


async def _rehearse(home: Path, database: str, *, replay: bool = False) -> Run:
    plan = small_plan()
    histories: dict[str, list[dict[str, Any]]] = {}

    def keep(workflow: str, history: str) -> None:
        histories.setdefault(workflow, []).append(json.loads(history))

    settings = Settings(home=home, database=database)
    async with open_ledger(settings, fresh=True, id_secret=b"tests") as (ledger, urls):
        await import_all(
            ledger, Tenant(1, b"tests", ledger.keys), plan, some_purchases(plan), seed=7, guides=5
        )
        await launch_for_rehearsal(ledger, plan)
        rehearsed = await rehearse(ledger, plan, seed=7, home=home, keep_histories=keep)
        async with ledger.connection() as connection:
            await sequence(connection, 1)
            verification = await verify(connection, 1)
            reports = {
                (cycle, kind): await read_report(connection, 1, plan.plan, cycle=cycle, kind=kind)
                for cycle in (1, 2)
                for kind in ("provisional", "settled")
            }
            events = [
                (row["stream"], row["version"], row["type"], row["payload"])
                for row in await connection.fetch(
                    "SELECT stream, version, type, payload::text AS payload FROM event ORDER BY stream, version"
                )
            ]
            lists = [
                (row["listed"], row["items"])
                for row in await connection.fetch(
                    "SELECT d.listed, (SELECT count(*) FROM list_item i WHERE i.guide_id = d.guide_id"
                    " AND i.business_date = d.business_date) AS items FROM guide_day d"
                )
            ]
            outbox = [
                row["purpose"] for row in await connection.fetch("SELECT purpose FROM outbox ORDER BY 1")
            ]
        replayed = [*await replayed_otherwise(ledger), *await counted_otherwise(ledger)] if replay else []
        recounts = {key: await recount(urls.admin, plan.plan, *key) for key in reports}
        rows = {key: await stored_rows(urls.admin, plan.plan, *key) for key in reports}
    return Run(rehearsed, reports, recounts, rows, verification, events, lists, outbox, replayed, histories)


@pytest_asyncio.fixture(scope="module")
async def run(home: Path) -> AsyncIterator[Run]:
    yield await _rehearse(home, "rehearsal_one", replay=True)


def test_replaying_what_happened_gives_every_item_member_and_day_as_they_stand(run: Run) -> None:
    assert run.replayed == []


@pytest.mark.parametrize("cycle", [1, 2])
@pytest.mark.parametrize("kind", ["provisional", "settled"])
def test_every_check_equals_an_independent_sql_recount(run: Run, cycle: int, kind: str) -> None:
    report, counted = run.reports[cycle, kind], run.recounts[cycle, kind]
    total = report.total
    assert {key: count for key, count in counted.items() if key not in {"stores", "guides"}} == {
        "members_selected": total.members_at_start,
        "members_assigned": report.assigned,
        "members_unassigned": total.members_at_start - report.assigned,
        "tasks": report.tasks,
        "check_ins": report.check_ins,
        "guide_days": report.guide_days,
        "members_due": total.due,
        "members_withdrawn": total.withdrawn,
        "members_attempted": total.attempted,
        "members_followed_up": total.followed_up,
        "members_window_closed": total.window_closed,
        "members_succeeded": total.succeeded,
        "members_provisional": total.provisional,
        "members_repurchased": total.repurchased,
        "revenue_minor": total.revenue,
    }
    assert total.followed_up > 0


@pytest.mark.parametrize("cycle", [1, 2])
@pytest.mark.parametrize("kind", ["provisional", "settled"])
@pytest.mark.parametrize("name", ["stores", "guides"])
def test_every_row_of_a_check_equals_an_independent_sql_recount(
    run: Run, cycle: int, kind: str, name: str
) -> None:
    counted = run.recounts[cycle, kind][name]
    assert counted == run.rows[cycle, kind][name]
    assert len(counted) > 1
    assert sum(row[0] for row in counted.values()) == run.reports[cycle, kind].total.due


async def test_the_same_seed_gives_the_same_events_to_the_last_digit_today_and_tomorrow(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.rehearsals.now", lambda: now() + timedelta(days=8))
    again = await _rehearse(home, "rehearsal_two")
    assert again.events == run.events
    assert {key: replace(report) for key, report in again.reports.items()} == run.reports


def test_a_guide_day_takes_at_most_25_temporal_events(run: Run) -> None:
    assert 0 < run.rehearsed.most_events_a_guide_day <= 25


def test_no_workflow_is_started_for_an_empty_list(run: Run) -> None:
    assert run.lists
    assert all(listed == items > 0 for listed, items in run.lists)
    assert run.rehearsed.guide_days == len(run.lists)


def test_the_history_of_a_guide_day_does_not_hold_its_items(run: Run) -> None:
    (history,) = run.histories["GuideDayWorkflow"]
    kinds = [event["eventType"] for event in history["events"]]
    assert kinds.count("EVENT_TYPE_MARKER_RECORDED") == 2
    assert "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED" not in kinds


def test_a_plan_goes_from_cycle_to_cycle_by_continue_as_new(run: Run) -> None:
    last, first = run.histories["PlanWorkflow"]
    assert first["events"][-1]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW"
    assert last["events"][-1]["eventType"] == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    assert run.rehearsed.outcome.plan.cycles == 2


def test_every_cycle_is_settled_when_its_windows_have_closed(run: Run) -> None:
    for cycle in (1, 2):
        provisional, settled = run.reports[cycle, "provisional"], run.reports[cycle, "settled"]
        assert settled.as_of - provisional.as_of == timedelta(days=14)
        assert settled.total.provisional == 0
        assert settled.total.window_closed == settled.total.followed_up == provisional.total.followed_up


def test_all_chains_of_a_rehearsal_verify(run: Run) -> None:
    assert run.verification.differences == ()
    assert run.verification.events == len(run.events) == run.verification.positions


def test_nobody_is_nudged_twice_for_the_same_slot(run: Run) -> None:
    assert run.outbox
    assert len(set(run.outbox)) == len(run.outbox)


def test_no_personal_data_reaches_events_workflow_ids_or_payloads(run: Run) -> None:
    plan = small_plan()
    home = made_up.home_stores(some_purchases(plan), before=plan.period.start)
    people = [made_up.members_frame(7, home), made_up.guides_frame(7, home, guides=5)]
    secrets = {str(value) for frame in people for name in ("name", "phone") for value in frame[name]}
    whole = json.dumps(run.histories, ensure_ascii=False) + json.dumps(run.events, ensure_ascii=False)
    assert len(secrets) > 1_000
    phones = [secret for secret in secrets if secret.startswith("199") and secret in whole]
    names = [secret for secret in secrets if len(secret) > 2 and not secret.isdigit() and secret in whole]
    assert phones == []
    assert names == []
