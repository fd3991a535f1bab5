"""Check-ins that wait at the same moment are taken together, and nobody is told anything else than alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from starlette.types import Message

from domain.policy import Role
from ledger import gathering
from ledger.account_places import Grant
from ledger.database import API, open_database
from ledger.gathering import Told
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.identities import identity
from tests.wire import Wire, wire

MANY = 12


@pytest_asyncio.fixture
async def line(shared_database: LedgerDatabase) -> AsyncIterator[Wire]:
    async with wire(shared_database.urls.api) as made:
        yield made


@pytest_asyncio.fixture
async def far(shop: Brand, line: Wire) -> AsyncIterator[Api]:
    """The application at the other end of the wire, asked by G1."""
    engine = open_database(line.url, tenant_id=1, role=API, pool_size=4)
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    token = await identity(shop.ledger, "g1", Grant(Role.GUIDE), guide=guide)
    made = Api(shop, served=Ledger(engine, 1, keys=shop.ledger.keys), token=token)
    async with made.http:
        yield made
    await engine.dispose()


@pytest_asyncio.fixture
async def items(shop: Brand) -> list[UUID]:
    """Items of G1, a member each; her list is published."""
    await shop.due_on(2, *(f"M{number}" for number in range(MANY)))
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    return [await shop.task(member) for member in await shop.listed(2, guide)]


async def test_many_at_once_share_their_round_trips_and_each_is_whole(
    far: Api, shop: Brand, line: Wire, items: list[UUID]
) -> None:
    assert (await far.check_in(items[0])).status_code == 201  # her code is looked up
    before = line.round_trips
    answers = await asyncio.gather(*(far.check_in(item, note=f"of {item}") for item in items[1:]))
    assert [answer.status_code for answer in answers] == [201] * (MANY - 1)
    # The first goes alone and at once, its turn and the next one's connections may be new; the others share.
    assert line.round_trips - before <= MANY
    assert {answer.json()["task_id"] for answer in answers} == {str(item) for item in items[1:]}
    counts = "SELECT count(*), count(DISTINCT task_id), count(note_id) FROM check_in"
    assert await shop.rows(counts) == [(MANY, MANY, MANY - 1)]
    chained = (
        "SELECT count(*) FROM event e JOIN stream_head h USING (tenant_id, stream, version, hash)"
        " WHERE e.type = 'checked_in'"
    )
    assert await shop.value(chained) == MANY


async def test_what_fails_fails_alone_and_is_told_why(far: Api, shop: Brand, items: list[UUID]) -> None:
    assert (await far.check_in(items[0], key="once")).status_code == 201
    other = await identity(shop.ledger, "g2", Grant(Role.GUIDE), guide=await shop.hire("G2"))
    reader = await identity(shop.ledger, "reader", Grant(Role.AUDITOR))

    async def by(token: str, item: UUID, key: str) -> httpx.Response:
        body = {"performed_by": "G1", "channel": "phone", "outcome": "interested"}
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return await far.http.post(f"/v1/tasks/{item}/check-ins", json=body, headers=headers)

    answers = await asyncio.gather(
        far.check_in(items[1]),
        by("made up", items[2], "a"),
        by(reader, items[2], "b"),
        by(other, items[2], "c"),
        far.check_in(items[0], key="once"),
        far.check_in(items[3], key="once"),
        far.check_in(UUID(int=7)),
        far.check_in(items[4], products=["never heard of"]),
        far.check_in(items[5], grade="A", outcome="no_answer"),
        far.check_in(items[7], products=["TIN"]),
    )
    told = [
        answer.status_code if answer.status_code < 300 else (answer.status_code, problem(answer)[1][0][1])
        for answer in answers
    ]
    assert told == [
        201,
        (401, "signed_out"),
        (403, "not_allowed"),
        (422, "unknown_guide"),
        200,
        (422, "key_used_otherwise"),
        (404, "unknown_task"),
        (422, "not_a_product"),
        (422, "grade_without_contact"),
        201,
    ]
    assert await shop.value("SELECT count(*) FROM check_in") == 3


async def test_the_same_request_twice_at_once_counts_once(far: Api, shop: Brand, items: list[UUID]) -> None:
    assert (await far.check_in(items[0])).status_code == 201
    answers = await asyncio.gather(*(far.check_in(items[1], key="twice") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.text for answer in answers}) == 1
    assert await shop.value("SELECT count(*) FROM check_in") == 2


async def test_two_items_of_one_member_at_once_stay_declined(far: Api, shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(2, 12).replace(month=2, day=7), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    tin, soap = [await shop.task(member, category=category) for category in ("TIN", "SOAP")]
    assert (await far.check_in(UUID(int=7))).status_code == 404  # her code is looked up
    first, second = await asyncio.gather(
        far.check_in(tin, outcome="refused", grade="D"), far.check_in(soap, outcome="interested")
    )
    assert first.status_code == 201
    assert second.status_code == 201 or problem(second) == (409, [("task_id", "member_declined")])
    assert await shop.rows("SELECT grade FROM plan_member") == [("D",)]


async def test_an_item_somebody_holds_makes_none_of_the_others_wait(
    far: Api, shop: Brand, items: list[UUID]
) -> None:
    assert (await far.check_in(items[0])).status_code == 201
    async with shop.ledger.transaction() as connection:
        await connection.execute(
            "UPDATE plan_member SET why = why FROM task t WHERE t.task_id = $1"
            " AND plan_member.member_id = t.member_id",
            items[1],
        )
        held = asyncio.create_task(far.check_in(items[1]))
        others = await asyncio.gather(*(far.check_in(item) for item in items[2:6]))
        assert [answer.status_code for answer in others] == [201] * 4
        assert not held.done()
    assert (await held).status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b'{"performed_by": "G1"}', b"[]", b'{"performed_by": 1e999}'])
async def test_what_is_no_report_is_told_so_by_its_route(far: Api, items: list[UUID], body: bytes) -> None:
    answer = await far.http.post(
        f"/v1/tasks/{items[0]}/check-ins",
        content=body,
        headers={"Idempotency-Key": "k", "Content-Type": "application/json"},
    )
    status, problems = problem(answer)
    assert status in {400, 422}
    assert problems


def _told() -> Told:
    return Told(b"x" * 32, "k", UUID(int=1), at(2), at(2), (), lambda _: None)


async def test_a_database_that_hangs_holds_nobody_longer_than_one_turn(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "TURN_S", 1.0)
    ended = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    hole = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"postgresql://x:y@127.0.0.1:{hole.sockets[0].getsockname()[1]}/z"
    engine = open_database(url, tenant_id=1, role=API, pool_size=4, wait_s=5, connect_s=5)
    made = gathering.Gathering(Ledger(engine, 1, keys=ledger.keys))
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert set(await asyncio.gather(*(made.take(_told()) for _ in range(400)))) == {None}
    took = loop.time() - began
    assert 1.0 <= took < 3.0, "one turn's time, not one for each that waited"
    began = loop.time()
    assert await made.take(_told()) is None
    assert loop.time() - began < 1.0, "for a while nobody waits to find it hung again"
    ended.set()
    hole.close()
    await engine.dispose()


async def test_who_is_gone_before_its_turn_is_left_out_of_it(
    far: Api, shop: Brand, items: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await far.check_in(items[0])).status_code == 201  # her code is looked up
    request = far.http.build_request(
        "POST",
        f"/v1/tasks/{items[1]}/check-ins",
        json={"performed_by": "G1", "channel": "phone", "outcome": "interested"},
        headers={"Idempotency-Key": "gone"},
    )
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": request.url.path, "raw_path": request.url.raw_path, "query_string": b"", "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "app": far.app,
    }  # fmt: skip
    messages: list[Message] = [
        {"type": "http.request", "body": request.content, "more_body": False},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    monkeypatch.setattr(gathering, "TURNS", 0)  # nobody's turn comes
    await far.app(scope, receive, send)
    assert (messages, sent) == ([], [])
    monkeypatch.setattr(gathering, "TURNS", 2)
    assert (await far.check_in(items[2])).status_code == 201
    assert await shop.rows("SELECT task_id FROM check_in ORDER BY known_at, task_id = $1", items[2]) == [
        (items[0],),
        (items[2],),
    ]
