"""The benchmark of the verification runs, on a small ledger: what it fills verifies, and its figures are those it names."""

from __future__ import annotations

from bench.verifying import measure, results
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress


async def test_the_verification_is_measured_beside_reading_the_same_rows(
    postgres: tuple[EmbeddedPostgres, PostgresAddress],
) -> None:
    measured = await measure(postgres[1].url("postgres"), events=6_000, pairs=1)
    assert (measured.events, len(measured.pairs)) == (6_000, 1)
    figures = {figure["figure"]: figure["value"] for figure in results(measured)}
    assert figures["verify_events"] == 6_000
    assert all(value for value in figures.values())
