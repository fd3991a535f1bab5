"""Many new streams at once: same bytes, same projections and same guards as one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Conflict
from domain.events import Event, TaskCreated
from ledger import founding as bulk
from ledger.canonical import LikeEvents, StoredEvent, encode, payload_bytes
from ledger.founding import NewStreams, founding
from ledger.ledger import TASK_PREFIX, Command, task_stream
from ledger.tasks import NEW_TASKS, change_tasks
from ledger.verify import verify
from tests.brand import Brand, at

NAMES = UUID("00000000-0000-0000-0000-000000000007")


def created(number: int) -> TaskCreated:
    return TaskCreated(
        task=uuid5(NAMES, f"task {number}"),
        plan="replenish",
        cycle=1,
        member=uuid5(NAMES, f"member {number}"),
        guide=uuid5(NAMES, "guide"),
        category=number,
        run_out_on=date(2026, 3, 9),
        due_on=date(2026, 3, 4),
        basis="rhythm",
        days_per_unit="7.25",
        bought_at=at(2, 8, 30),
    )


async def found(brand: Brand, command: Command, *events: Event) -> None:
    ordered = sorted(events, key=lambda one: str(one.payload()["task"]))
    async with (
        brand.ledger.transaction() as connection,
        founding(1, command, [NewStreams(TASK_PREFIX, "task", ordered, NEW_TASKS)]) as coming,
    ):
        await coming.write(connection)


def command(name: str) -> Command:
    return Command(name, at(2, 9), at(2, 9), "hq", performed_by="guide")


@given(
    stream=st.text(min_size=1, max_size=40),
    cause=st.text(max_size=20),
    payload=st.dictionaries(
        st.text(max_size=5), st.one_of(st.integers(-(2**53), 2**53), st.text(), st.none())
    ),
    instant=st.datetimes(timezones=st.just(UTC)),
)
def test_bytes_composed_in_bulk_are_the_canonical_ones(
    stream: str, cause: str, payload: dict[str, Any], instant: datetime
) -> None:
    stored = StoredEvent(7, stream, 1, instant, instant, "a", "", cause, "made", 3, payload)
    first = LikeEvents(replace(stored, payload={}))
    body = first.body(stream, payload)
    assert body == encode(stored)
    places = first.places
    assert body[places.stream - 1 :][: places.stream_length] == stream.encode()
    assert body[places.payload - 1 :] == payload_bytes(payload)


async def test_items_made_in_bulk_stand_as_those_made_one_by_one(
    brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 2)
    await found(brand, command("bulk"), *(created(number) for number in range(5)))
    async with brand.ledger.transaction() as connection:
        await change_tasks(
            connection, 1, command("single"), created=[created(number) for number in range(5, 10)]
        )
    rows = await brand.rows("SELECT * FROM task ORDER BY category_id")
    own = {1: "task_id", 4: "member_id", 5: "category_id"}
    assert len({tuple(v for n, v in enumerate(row) if n not in own) for row in rows}) == 1
    assert [row[1] for row in rows] == [created(number).task for number in range(10)]
    assert await brand.rows("SELECT cause, count(*) FROM event GROUP BY 1 ORDER BY 1") == [
        ("bulk/0", 2), ("bulk/1", 2), ("bulk/2", 1), ("single", 5),
    ]  # fmt: skip
    async with brand.ledger.connection() as connection:
        assert (await verify(connection, 1)).ok


@pytest.mark.parametrize("again", ["stream", "command"])
async def test_a_stream_or_command_that_is_there_already_undoes_all(brand: Brand, again: str) -> None:
    async with brand.ledger.transaction() as connection:
        await change_tasks(
            connection, 1, command("first" if again == "stream" else "bulk/0"), created=[created(1)]
        )
    before = await brand.everything()
    with pytest.raises(Conflict):
        await found(
            brand,
            command("bulk"),
            *(created(number) for number in ((0, 1, 2) if again == "stream" else (3, 4))),
        )
    assert await brand.everything() == before


async def test_what_cannot_be_composed_reaches_whoever_writes_and_undoes_all(brand: Brand) -> None:
    class Odd(Event):
        type = "odd"
        task: str

    before = await brand.everything()
    with pytest.raises(ValueError, match="task/longer"):
        await found(brand, command("bulk"), Odd(task="long"), Odd(task="longer"))
    assert await brand.everything() == before
    assert task_stream(created(1).task) == TASK_PREFIX + str(created(1).task)
