"""What a check-in over HTTP asks of PostgreSQL, counted on the wire, and what becomes of it when the wire breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from domain.policy import Role
from ledger.account_places import Grant
from ledger.database import API, open_database
from ledger.ledger import Ledger
from tests.api.conftest import Api
from tests.brand import Brand
from tests.conftest import LedgerDatabase
from tests.identities import identity
from tests.wire import Wire, wire


@pytest_asyncio.fixture
async def line(shared_database: LedgerDatabase) -> AsyncIterator[Wire]:
    async with wire(shared_database.urls.api) as made:
        yield made


@pytest_asyncio.fixture
async def far(shop: Brand, line: Wire) -> AsyncIterator[Api]:
    """The application at the other end of the wire, on one connection."""
    engine = open_database(line.url, tenant_id=1, role=API, pool_size=1)
    token = await identity(shop.ledger, "hq", Grant(Role.HQ))
    made = Api(shop, served=Ledger(engine, 1, keys=shop.ledger.keys), token=token)
    async with made.http:
        yield made
    await engine.dispose()


async def test_a_check_in_asks_the_database_twice_in_all(far: Api, line: Wire, tasks: list[UUID]) -> None:
    assert (
        await far.check_in(tasks[0])
    ).status_code == 201  # statements are prepared, the guide's code is looked up
    before = line.round_trips
    assert (await far.check_in(tasks[1])).status_code == 201
    assert line.round_trips - before == 2
    before = line.round_trips
    assert (await far.check_in(tasks[2], outcome="no_answer")).status_code == 201
    assert line.round_trips - before == 2


async def test_connections_that_died_between_two_requests_fail_neither(
    far: Api, shop: Brand, line: Wire, tasks: list[UUID]
) -> None:
    assert (await far.check_in(tasks[0])).status_code == 201
    line.cut()  # and the next request comes before the driver has heard of it
    assert (await far.check_in(tasks[1])).status_code == 201
    assert await shop.value("SELECT count(*) FROM check_in") == 2


@pytest.mark.parametrize(("lost", "status"), [(1, 201), (2, 200)], ids=["read", "write"])
async def test_an_answer_of_the_database_that_is_lost_fails_no_check_in_and_it_counts_once(
    far: Api, shop: Brand, line: Wire, tasks: list[UUID], lost: int, status: int
) -> None:
    assert (await far.check_in(tasks[0])).status_code == 201
    line.loses_answer_of = line.round_trips + lost
    answer = await far.check_in(tasks[1], note="was told once")
    assert (answer.status_code, answer.json()["state"]) == (status, "done")
    assert line.loses_answer_of is None
    assert await shop.value("SELECT count(*) FROM check_in") == 2
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'checked_in'") == 2
