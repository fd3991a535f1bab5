"""A short chaos campaign, and that its checks can fail. The long one is `make chaos`."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from bench.chaos.campaign import Campaign, Wanted, run
from bench.chaos.clients import TooSlowError
from bench.chaos.evidence import Evidence
from bench.chaos.faults import LOG, Faults, writes
from bench.chaos.judgement import judge
from bench.chaos.script import GUIDES, Pace, guides, written
from infra.clock import now

SEED, KILLS = 20260302, 15


def say(text: str) -> None:
    """Shown by pytest where the test fails."""
    sys.stdout.write(f"{text}\n")


async def short_campaign() -> Campaign:
    """Both days at once; on a machine too busy for the hours of the day, once more with twice the time."""
    for stretch in (1, 2):
        pace = Pace(release=30 * stretch, first=25 * stretch, second=20 * stretch, close=20 * stretch)
        try:
            # Where the campaign itself hangs it fails; it must not hold up every other test. The message of a killed
            # sender waits for the end of its lease, two minutes beyond the day.
            async with asyncio.timeout(240 + 90 * stretch):
                return await run(Wanted(SEED, KILLS, pace, haste=2.5, together=True), now(), say)
        except TooSlowError as error:
            say(f"too slow: {error}")
    pytest.fail("the machine is too slow for a day of three minutes")


async def test_a_day_under_kills_and_faults_ends_as_the_undisturbed_day() -> None:
    say(f"seed {SEED}")
    wrong = [(one.what, one.found, one.more) for one in judge(await short_campaign()) if not one.holds]
    assert wrong == []


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    assert written(5) == written(5)
    assert written(5) != written(6)


def test_every_guide_reports_something_and_something_finished_once_more() -> None:
    script = written(SEED)
    assert len(guides()) == GUIDES
    for guide in guides():
        mine = [report for report in script.reports if report.guide == guide]
        assert sum(report.again for report in mine) == 1
        assert len({report.key for report in mine}) == len(mine) > 5
    assert script.bought_before
    assert script.bought_after


def evidence(**changes: object) -> Evidence:
    whole = Evidence(
        rows={"task": ["t1 | open", "t2 | done"]},
        twice=[],
        checked_in=Counter({"k": 1}),
        findings=[],
        pending=0,
        open_days=0,
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def test_a_row_that_differs_is_named_and_changes_the_checksum() -> None:
    other = evidence(rows={"task": ["t1 | done", "t2 | done"]})
    assert evidence().difference(other) == ["- task: t1 | open", "+ task: t1 | done"]
    assert evidence().checksum() != other.checksum()
    assert evidence().difference(evidence()) == []


def test_the_first_write_of_a_path_fails_after_it_was_committed_whatever_the_draw(tmp_path: Path) -> None:
    faults = Faults(tmp_path, "worker-1", 0.0001, Random(1))  # noqa: S311
    with pytest.raises(TimeoutError):
        faults.after("a:b", wrote=True)
    faults.after("a:b", wrote=True)
    faults.after("a:c", wrote=False)
    assert (tmp_path / LOG).read_text() == "write\ta:b\tworker-1\n"


def test_the_same_seed_draws_the_same_faults(tmp_path: Path) -> None:
    def drawn(name: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        faults = Faults(folder, "api-3", 0.3, Random("7/api-3"))  # noqa: S311
        for number in range(50):
            try:
                faults.after(f"path-{number % 4}", wrote=True)
            except TimeoutError:
                continue
        return (folder / LOG).read_text()

    assert drawn("one") == drawn("two")


@pytest.mark.parametrize(
    ("query", "wrote"),
    [
        ("SELECT state FROM guide_day WHERE tenant_id = $1 FOR UPDATE", False),
        ("SELECT 1 FOR NO KEY UPDATE", False),
        ("WITH a AS (INSERT INTO event SELECT 1) SELECT 1", True),
        ("UPDATE task SET state = 'done'", True),
        ("DELETE FROM event_pending", True),
    ],
)
def test_a_statement_that_only_locks_does_not_count_as_a_write(query: str, *, wrote: bool) -> None:
    assert writes(query) is wrote
