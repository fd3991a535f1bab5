"""The benchmark of the day, on a small brand: every part runs, and its figures are those it names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bench.day.__main__ import Wanted, measure
from bench.ledger.dispatch import Place
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress


async def test_every_part_of_the_day_is_measured_and_names_its_goal(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], tmp_path: Path
) -> None:
    server, address = postgres
    wanted = Wanted(guides=10, pairs=1, lasts=timedelta(seconds=10))
    figures = {one.figure: one for one in await measure(Place(server, address, tmp_path), wanted)}
    goals = {name: one.goal for name, one in figures.items() if one.goal is not None}
    assert goals == {
        "lists_to_copy": 3,
        "lists_tenfold": 12,
        "nudge_slot_not_analysed": 10,
        "nudge_slot": 10,
        "events_a_guide_day": 25,
    }
    assert all(
        one.value > 0 for one in figures.values() if one.unit != "s of processor"
    )  # too little to be told
    # What a guide-day costs by itself is the same in every brand, and so is what a day costs that all of it share.
    assert figures["events_a_guide_day_own"].value == 12
    assert figures["events_a_day_shared"].value / 10_000 < 1
