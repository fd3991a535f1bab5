"""Whatever happened in whatever order: replaying it gives every item and member as they stand, and every closed day."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.standing import stand
from ledger.ledger import Ledger
from ledger.member_history import read_history
from ledger.recounting import FIGURES, count_days
from tests.conftest import LedgerDatabase
from tests.histories import Step, steps
from tests.ledger.test_rebuild import lived

CHEAP = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@CHEAP
@given(history=st.lists(steps, min_size=6, max_size=30), apart=st.booleans())
async def test_replaying_any_history_gives_the_rows_as_they_stand(
    shared_database: LedgerDatabase, history: list[Step], apart: bool
) -> None:
    await lived(shared_database, closed_in_time(history), apart=apart)
    assert await replayed_otherwise(shared_database.ledger) == []
    assert await counted_otherwise(shared_database.ledger) == []


def closed_in_time(history: list[Step]) -> list[Step]:
    """With every day closed before the next: in a rehearsal an overdue one is closed as of its own evening."""
    return [
        step
        for one in history
        for step in ([("evening", 0, 0), one] if one[0] in {"next_day", "check"} else [one])
    ]


async def replayed_otherwise(ledger: Ledger) -> list[tuple[Any, Any]]:
    """Rows of items and members that replaying gives otherwise, with what it gives."""
    async with ledger.transaction() as connection:
        members = await connection.fetch("SELECT DISTINCT plan_id, member_id FROM task ORDER BY 2")
        found: list[tuple[Any, Any]] = []
        for row in members:
            known = await read_history(connection, 1, row["plan_id"], row["member_id"])
            standing = stand(known.history)
            for table, key, told in (
                ("task", "task_id", standing.items),
                ("plan_member", "cycle", standing.members),
            ):
                for kept in await connection.fetch(
                    f"SELECT * FROM {table} WHERE member_id = $1", row["member_id"]
                ):
                    replayed = told[kept[key]].model_dump()
                    if replayed != {name: kept[name] for name in replayed}:
                        found.append((dict(kept), replayed))
    assert members
    return found


async def counted_otherwise(ledger: Ledger) -> list[tuple[Any, Any]]:
    """Closed days that are counted otherwise than their row or their newest figures say, with the count."""
    async with ledger.connection() as connection:
        days = await connection.fetch(
            "SELECT d.*, (SELECT (e.payload->>'expired')::int FROM event e WHERE e.type IN ('day_closed', 'day_recounted')"
            " AND e.stream = 'guide-day/' || d.guide_id || '/' || d.business_date ORDER BY version DESC LIMIT 1) AS expired"
            " FROM guide_day d WHERE d.state = 'closed'"
        )
        counted = await count_days(connection, 1, [(day["guide_id"], day["business_date"]) for day in days])
    assert len(counted) == len(days)
    figures = [(dict(day), counted[day["guide_id"], day["business_date"]]) for day in days]
    return [(kept, now) for kept, now in figures if any(kept[name] != now[name] for name in FIGURES)]
