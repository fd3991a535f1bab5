"""Every part of `make bench` runs, on little."""

from __future__ import annotations

import json
from pathlib import Path

from bench.ledger.__main__ import PARTS, Wanted, renewed, run
from bench.ledger.dispatch import Place
from bench.ledger.figures import Figure
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress


async def test_every_part_measures_both_sides_and_names_its_goal(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], tmp_path: Path
) -> None:
    server, address = postgres
    wanted = Wanted(pairs=1, check_ins=10, items=50, others=10, verified=90, rebuilt=90, clients=40, rounds=2)
    figures = await run(Place(server, address, tmp_path), wanted, list(PARTS))
    goals = {one.figure: one.goal for one in figures if one.goal is not None}
    assert goals == {
        "check_in_http_to_bare": 0.45,
        "check_in_http_to_bare_gathered": 0.45,
        "check_in_http_to_temporal_update": 8,
        "check_in_http_to_dbos_workflow": 4,
        "dispatch_to_copy": 0.7,
        "clients_faults": 0,
        "verify_ratio": 1.5,
        "verify_incremental_s": 10.0,
        "rebuild_to_read_and_copy": 0.4,
    }
    assert all(one.value > 0 for one in figures if one.unit == "ratio" or one.unit.endswith("/s"))
    assert [one.holds for one in figures if one.figure == "clients_faults"] == [True]


def test_figures_of_parts_that_were_not_measured_now_stay_as_they_were(tmp_path: Path) -> None:
    results = tmp_path / "ledger.json"
    results.write_text(json.dumps([{"figure": "a", "value": 1}, {"figure": "b", "value": 2}]))
    told = renewed(results, [Figure("b", 3, "1/s"), Figure("c", 4, "1/s")])
    assert [(one["figure"], one["value"]) for one in told] == [("a", 1), ("b", 3), ("c", 4)]
    assert [one["figure"] for one in renewed(tmp_path / "none.json", [Figure("c", 4, "1/s")])] == ["c"]
