"""Messages out: routed, claimed with a recheck, sent at most once, stopped, sent once more by hand."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from channels.plugins import Transport
from domain.delivery import MOST_ATTEMPTS, Delivery, End
from domain.errors import NotFound, Refused
from infra.outbox_sender import Sender, run_outbox, send_due
from ledger.claims import LEASE, Claimed, claim, end_overdue, finish, give_back
from ledger.endpoints import Endpoint, add_endpoint, list_endpoints, remove_endpoint
from ledger.outbox import (
    count_messages,
    list_messages,
    read_switch,
    resume_messages,
    retry_message,
    stop_messages,
)
from tests.brand import Brand, at, plan
from tests.channels.fakes import Answer, Service, free_port, http_service
from tests.conftest import LedgerDatabase
from tests.live import until

NOON = at(2, 12)
TRANSPORT = Transport(connect=2.0, answer=0.3)


@dataclass
class Clock:
    """An instant that moves when it is told to."""

    instant: datetime = NOON
    pace: timedelta = field(default=timedelta(0))

    def __call__(self) -> datetime:
        self.instant += self.pace
        return self.instant

    def move(self, **by: float) -> None:
        self.instant += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as running:
        yield running


async def a_day(brand: Brand, guides: int = 1, members: int = 1, **changes: object) -> list[UUID]:
    """Guides of S1 with a published list each on 2 March; G1 is there already."""
    codes = [f"G{n}" for n in range(1, guides + 1)]
    for code in codes[1:]:
        await brand.hire(code)
    await brand.due_on(2, *(f"M{n}" for n in range(guides * members)))
    await brand.start(plan(**changes))
    people = [UUID(str(row[0])) for row in await brand.rows("SELECT guide_id FROM guide ORDER BY code")]
    await brand.morning(2, *people)
    return people


async def nudge(brand: Brand, slot: str = "12:00", hour: int = 12) -> int:
    return (await brand.reminders.nudge_guides(brand.day(2, hour, slot=slot))).guides


async def a_webhook(
    brand: Brand,
    port: int,
    *,
    scope: str = "store",
    code: str = "S1",
    per_minute: int = 60,
    path: str = "hook",
) -> Endpoint:
    return await add_endpoint(
        brand.ledger,
        scope=scope,
        code=code,
        kind="webhook",
        address=f"json://127.0.0.1:{port}/{path}",
        per_minute=per_minute,
    )


async def a_nudged_day(
    brand: Brand, port: int, *, guides: int = 1, members: int = 1, per_minute: int = 60
) -> Endpoint:
    """Such a day at noon: a message for each guide waits for the store's webhook."""
    await a_day(brand, guides, members)
    endpoint = await a_webhook(brand, port, per_minute=per_minute)
    await nudge(brand)
    return endpoint


async def deliver(brand: Brand, clock: Clock) -> dict[str, int]:
    return dict(await send_due(brand.ledger, now=clock, language="zh", transport=TRANSPORT))


async def states(brand: Brand) -> list[tuple[str, str | None]]:
    rows = await brand.rows("SELECT state, why FROM outbox ORDER BY purpose, endpoint_id")
    return [(row[0], row[1]) for row in rows]


async def routes(brand: Brand) -> dict[str, list[int]]:
    rows = await brand.rows(
        "SELECT g.code, array_agg(o.endpoint_id ORDER BY o.endpoint_id) FROM outbox o"
        " JOIN guide g USING (tenant_id, guide_id) GROUP BY 1 ORDER BY 1"
    )
    return {row[0]: list(row[1]) for row in rows}


async def claimed(
    brand: Brand,
    endpoint: Endpoint,
    clock: Clock,
    token: str = "t1",  # noqa: S107 - no password
) -> Claimed | None:
    return await claim(brand.ledger, endpoint_id=endpoint.endpoint_id, token=token, now=clock())


# --- routing ---------------------------------------------------------------------------------------


async def test_the_nearest_endpoints_serve_a_guide_and_all_of_that_scope(shop: Brand) -> None:
    await shop.execute("UPDATE store SET region = 'East'")
    for code, region in (("S2", "East"), ("S3", "West")):
        await shop.open_store(code)
        await shop.execute("UPDATE store SET region = $1 WHERE code = $2", region, code)
        await shop.hire(f"G{code}", code)
    await shop.hire("GX")
    brand_wide = await a_webhook(shop, 1, scope="brand", code="")
    east = await a_webhook(shop, 1, scope="region", code="East")
    store = [await a_webhook(shop, 1, path=path) for path in "ab"]
    own = await a_webhook(shop, 1, scope="guide", code="GX")
    gone = await a_webhook(shop, 1, scope="guide", code="G1")
    await remove_endpoint(shop.ledger, gone.endpoint_id)
    await a_day(shop, members=5)
    assert await nudge(shop) == 4
    assert await routes(shop) == {
        "G1": [endpoint.endpoint_id for endpoint in store],
        "GS2": [east.endpoint_id],
        "GS3": [brand_wide.endpoint_id],
        "GX": [own.endpoint_id],
    }


async def test_a_guide_whom_no_endpoint_serves_is_on_view_and_nothing_is_wrong(
    shop: Brand, clock: Clock
) -> None:
    await a_day(shop)
    assert await nudge(shop) == 1
    assert await routes(shop) == {"G1": [0]}
    assert await deliver(shop, clock) == {}
    assert await states(shop) == [("unrouted", None)]


async def test_a_slot_that_is_nudged_from_many_sides_at_once_is_nudged_once(shop: Brand) -> None:
    await a_day(shop)
    await a_webhook(shop, 1)
    noon = shop.day(2, 12, slot="12:00")
    steps = [noon.model_copy(update={"release": f"{hour:02}:00"}) for hour in range(7, 13)]
    results = await asyncio.gather(*(shop.reminders.nudge_guides(step) for step in steps))
    assert sorted(result.guides for result in results) == [0] * 5 + [1]
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'nudged'") == 1
    assert await shop.value("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize("status", ["paused", "closed", "recalled"])
async def test_items_of_a_plan_that_is_not_running_are_not_nudged_about(shop: Brand, status: str) -> None:
    await a_day(shop)
    await shop.execute("UPDATE plan SET status = $1", status)
    assert await nudge(shop) == 0


async def test_a_plan_in_its_canary_nudges_in_its_stores_only(shop: Brand) -> None:
    await a_day(shop)
    await shop.execute("UPDATE plan SET canary = '{S2}'")
    assert await nudge(shop) == 0
    await shop.execute("UPDATE plan SET canary = '{S1}'")
    assert await nudge(shop) == 1


@pytest.mark.parametrize(
    ("scope", "code", "per_minute", "field", "problem"),
    [
        ("store", "S9", 60, "code", "channel_store"),
        ("region", "", 60, "code", "channel_code_missing"),
        ("guide", "G9", 60, "code", "channel_guide"),
        ("brand", "S1", 60, "code", "channel_brand_code"),
        ("planet", "", 60, "scope", "channel_scope"),
        ("store", "S1", 0, "per_minute", "too_small"),
    ],
)
async def test_an_endpoint_of_nothing_is_refused(
    shop: Brand, scope: str, code: str, per_minute: int, field: str, problem: str
) -> None:
    with pytest.raises(Refused) as refused:
        await a_webhook(shop, 1, scope=scope, code=code, per_minute=per_minute)
    assert [(found.field, found.code) for found in refused.value.problems] == [(field, problem)]
    assert await shop.value("SELECT count(*) FROM endpoint") == 0


async def test_an_endpoint_that_is_added_again_is_the_same_with_the_new_rate(shop: Brand) -> None:
    first = await a_webhook(shop, 1)
    await remove_endpoint(shop.ledger, first.endpoint_id)
    assert (await a_webhook(shop, 1, per_minute=5)).endpoint_id == first.endpoint_id
    async with shop.ledger.connection() as connection:
        (listed,) = await list_endpoints(connection, 1)
    assert (listed.active, listed.per_minute) == (True, 5)
    with pytest.raises(NotFound):
        await remove_endpoint(shop.ledger, 99)


async def test_no_address_is_in_an_event_or_a_repr(shop: Brand, service: Service, clock: Clock) -> None:
    endpoint = await a_webhook(shop, service.port, path="secretpath")
    await a_day(shop)
    await nudge(shop)
    found = await claimed(shop, endpoint, clock)
    assert found is not None
    assert "secretpath" not in repr(endpoint) + repr(found)
    assert not await shop.value("SELECT count(*) FROM event WHERE payload::text LIKE '%secretpath%'")


# --- the recheck -----------------------------------------------------------------------------------


async def test_a_message_is_sent_once_and_says_who_when_and_how_many(
    shop: Brand, service: Service, clock: Clock
) -> None:
    (guide,) = await a_day(shop, members=3)
    await shop.execute("INSERT INTO guide_person (tenant_id, guide_id, name) VALUES (1, $1, '张丽')", guide)
    await a_webhook(shop, service.port)
    await nudge(shop)
    await shop.report(await shop.task((await shop.listed(2, guide))[0]), guide, at(2, 12), "no_answer")
    assert await deliver(shop, clock) == {"sent": 1}
    assert await deliver(shop, clock) == {}
    (text,) = service.texts
    for part in ("张丽", "G1", "2026-03-02", "12:00", "2 项"):
        assert part in text
    assert await shop.rows("SELECT state, attempts, claimed_at, ended_at FROM outbox") == [
        ("sent", 1, NOON, NOON)
    ]


async def test_a_guides_own_endpoint_is_not_told_her_name(
    shop: Brand, service: Service, clock: Clock
) -> None:
    (guide,) = await a_day(shop)
    await shop.execute("INSERT INTO guide_person (tenant_id, guide_id, name) VALUES (1, $1, '张丽')", guide)
    await a_webhook(shop, service.port, scope="guide", code="G1")
    await nudge(shop)
    await deliver(shop, clock)
    assert len(service.texts) == 1
    assert "张丽" not in service.texts[0]


NOT_ANY_MORE = {
    "guide_gone": "UPDATE guide SET active = false",
    "guide_on_leave": "UPDATE guide SET on_leave_from = '2026-03-01'",
    "day_over": "UPDATE guide_day SET state = 'closed'",
    "paused": "UPDATE plan SET status = 'paused'",
    "nothing_open": "UPDATE task SET last_attempt_on = '2026-03-02'",
    "endpoint_removed": "UPDATE endpoint SET active = false",
}


@pytest.mark.parametrize("why", NOT_ANY_MORE)
async def test_what_can_never_become_right_expires_unsent(
    shop: Brand, service: Service, clock: Clock, why: str
) -> None:
    await a_nudged_day(shop, service.port)
    await shop.execute(NOT_ANY_MORE[why])
    await deliver(shop, clock)
    assert await states(shop) == [("expired", why)]
    assert service.requests == []


async def test_what_is_past_its_time_expires_unsent(shop: Brand, service: Service, clock: Clock) -> None:
    endpoint = await a_nudged_day(shop, service.port)
    clock.move(hours=2)
    assert await claimed(shop, endpoint, clock) is None
    assert await states(shop) == [("expired", "too_late")]
    await nudge(shop, "15:00", 15)
    clock.move(hours=1)
    assert await claimed(shop, endpoint, clock) is not None
    assert await states(shop) == [("expired", "too_late"), ("sending", None)]
    clock.move(hours=1)
    assert await deliver(shop, clock) == {"unknown": 1}


@pytest.mark.parametrize("change", ["status = 'recalled'", "status = 'closed'", "canary = '{S2}'"])
async def test_a_plan_that_does_not_ask_any_more_leaves_nothing_open(
    shop: Brand, service: Service, clock: Clock, change: str
) -> None:
    await a_nudged_day(shop, service.port)
    await shop.execute(f"UPDATE plan SET {change}")
    await deliver(shop, clock)
    assert await states(shop) == [("expired", "nothing_open")]


async def test_nothing_is_sent_outside_the_shift(shop: Brand, service: Service, clock: Clock) -> None:
    await a_nudged_day(shop, service.port)
    await shop.execute("UPDATE guide_day SET opens_at = $1", at(2, 13))
    assert await deliver(shop, clock) == {}
    assert await states(shop) == [("waiting", None)]
    clock.move(hours=1)
    assert await deliver(shop, clock) == {"sent": 1}
    await nudge(shop, "20:00", 20)
    clock.instant = at(2, 21)
    await deliver(shop, clock)
    assert (await states(shop))[1] == ("expired", "day_over")
    assert len(service.requests) == 1


async def test_after_an_outage_a_guide_is_told_once_how_things_stand(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port)
    await nudge(shop, "17:00", 17)
    clock.move(hours=5)
    await deliver(shop, clock)
    assert len(service.requests) == 1
    assert await shop.rows("SELECT content->>'slot', state, why FROM outbox ORDER BY 1") == [
        ("12:00", "expired", "overtaken"),
        ("17:00", "sent", None),
    ]


async def test_one_that_expired_does_not_hold_up_the_others(
    shop: Brand, service: Service, clock: Clock
) -> None:
    guides = await a_day(shop, guides=60)
    await a_webhook(shop, service.port, per_minute=100)
    await nudge(shop)
    await shop.execute("UPDATE guide SET active = false WHERE guide_id <> ALL($1)", sorted(guides)[-2:])
    assert (await deliver(shop, clock))["sent"] == 2


# --- ends ------------------------------------------------------------------------------------------


async def test_a_refusal_is_dead_and_not_sent_again(shop: Brand, service: Service, clock: Clock) -> None:
    await a_nudged_day(shop, service.port)
    service.answer = Answer(status=403)
    assert await deliver(shop, clock) == {"dead": 1}
    clock.move(minutes=10)
    assert await deliver(shop, clock) == {}
    assert await states(shop) == [("dead", "http_403")]
    assert len(service.requests) == 1


async def test_no_answer_is_unknown_and_never_sent_again_by_itself(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port)
    service.answer = Answer(silent=True)
    assert await deliver(shop, clock) == {"unknown": 1}
    service.answer = Answer()
    for _ in range(3):
        clock.move(minutes=10)
        assert await deliver(shop, clock) == {}
    assert await states(shop) == [("unknown", "no_answer")]
    assert len(service.requests) == 1


async def test_a_refused_connection_is_tried_again_and_delivered_once(shop: Brand, clock: Clock) -> None:
    port = free_port()
    await a_nudged_day(shop, port)
    assert await deliver(shop, clock) == {"waiting": 1}
    assert await states(shop) == [("waiting", "not_connected")]
    assert await deliver(shop, clock) == {}
    with http_service(port) as service:
        clock.move(seconds=5)
        assert await deliver(shop, clock) == {"sent": 1}
        clock.move(minutes=10)
        assert await deliver(shop, clock) == {}
        assert len(service.requests) == 1


async def test_what_never_gets_through_is_dead_in_the_end(shop: Brand, clock: Clock) -> None:
    await a_nudged_day(shop, free_port())
    ends = []
    while not ends or ends[-1] == {"waiting": 1}:
        ends.append(await deliver(shop, clock))
        clock.move(minutes=5)
    assert ends == [{"waiting": 1}] * (MOST_ATTEMPTS - 1) + [{"dead": 1}]
    assert await states(shop) == [("dead", "not_connected")]


async def test_an_endpoint_that_gets_too_much_rests_for_a_minute_with_all_its_messages(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port, guides=3)
    service.answers = [Answer(status=429)]
    assert await deliver(shop, clock) == {"waiting": 1}
    clock.move(seconds=59)
    assert await deliver(shop, clock) == {}
    assert len(service.requests) == 1
    clock.move(seconds=2)
    assert await deliver(shop, clock) == {"sent": 3}
    assert len(set(service.texts)) == 3


async def test_the_rate_of_an_endpoint_holds(shop: Brand, service: Service, clock: Clock) -> None:
    await a_nudged_day(shop, service.port, guides=5, per_minute=2)
    sent = []
    for _ in range(4):
        sent.append((await deliver(shop, clock)).get("sent", 0))
        clock.move(seconds=30)
    assert sent == [2, 0, 2, 0]
    clock.move(seconds=1)
    assert await deliver(shop, clock) == {"sent": 1}


async def test_senders_beside_each_other_send_nothing_twice_and_keep_the_rate(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port, guides=30, per_minute=20)
    results = await asyncio.gather(*(deliver(shop, clock) for _ in range(4)))
    rest = await deliver(shop, clock)
    assert sum(result.get("sent", 0) for result in [*results, rest]) == 20
    assert len(service.texts) == len(set(service.texts)) == 20
    clock.move(seconds=61)
    assert (await deliver(shop, clock))["sent"] == 10
    assert len(set(service.texts)) == 30


# --- senders that die ------------------------------------------------------------------------------


async def test_what_a_sender_that_died_left_behind_is_unknown_after_the_lease_and_never_sent_again(
    shop: Brand, service: Service, clock: Clock
) -> None:
    endpoint = await a_nudged_day(shop, service.port)
    assert await claimed(shop, endpoint, clock) is not None
    assert await claimed(shop, endpoint, clock, "t2") is None
    clock.instant += LEASE
    assert await deliver(shop, clock) == {}
    clock.move(seconds=1)
    assert await deliver(shop, clock) == {"unknown": 1}
    assert await deliver(shop, clock) == {}
    assert await states(shop) == [("unknown", "sender_lost")]
    assert service.requests == []


SENDER = """
import asyncio, sys
from datetime import datetime
from channels.plugins import Transport
from infra.outbox_sender import send_due
from ledger.database import open_database
from ledger.ledger import Ledger

async def main():
    ledger = Ledger(open_database(sys.argv[1], tenant_id=1), 1)
    await send_due(ledger, now=lambda: datetime.fromisoformat(sys.argv[2]), language="zh",
                   transport=Transport(answer=30.0))

asyncio.run(main())
"""


async def test_a_sender_killed_between_mark_and_end_leaves_the_message_unknown(
    shop: Brand, shared_database: LedgerDatabase, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port)
    service.answers = [Answer(silent=True)]
    arguments = (sys.executable, "-c", SENDER, shared_database.worker_url, NOON.isoformat())
    process = await asyncio.create_subprocess_exec(*arguments)
    await asyncio.to_thread(service.wait_for, 1)
    assert await states(shop) == [("sending", None)]
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert await deliver(shop, clock) == {}
    clock.move(minutes=3)
    assert await deliver(shop, clock) == {"unknown": 1}
    clock.move(minutes=30)
    assert await deliver(shop, clock) == {}
    assert await states(shop) == [("unknown", "sender_lost")]
    assert len(service.requests) == 1


async def test_what_is_known_counts_more_than_that_the_sender_seemed_lost(shop: Brand, clock: Clock) -> None:
    endpoint = await a_nudged_day(shop, 1)
    found = await claimed(shop, endpoint, clock)
    assert found is not None
    async with shop.ledger.connection() as connection:
        await end_overdue(connection, 1, clock() + 2 * LEASE)
        assert await states(shop) == [("unknown", "sender_lost")]
        for _ in range(2):
            await finish(connection, 1, found, Delivery(End.SENT), clock())
    assert await states(shop) == [("sent", None)]


async def test_a_claim_that_was_committed_unheard_is_given_back(shop: Brand, clock: Clock) -> None:
    endpoint = await a_nudged_day(shop, 1)
    await claimed(shop, endpoint, clock, "lost")
    async with shop.ledger.connection() as connection:
        assert await give_back(connection, 1, ["other"]) == 0
        assert await give_back(connection, 1, ["lost"]) == 1
    assert await shop.rows("SELECT state, attempts FROM outbox") == [("waiting", 0)]


async def test_what_was_sent_is_written_down_although_the_database_was_lost_meanwhile(
    shop: Brand, shared_database: LedgerDatabase, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port)
    service.answers = [Answer(late=True)]
    sending = asyncio.create_task(
        send_due(shop.ledger, now=clock, language="zh", transport=Transport(answer=20.0))
    )
    await asyncio.to_thread(service.wait_for, 1)
    admin = await asyncpg.connect(shared_database.admin_url)
    try:
        lost = await admin.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await admin.close()
    assert lost
    service.over.set()
    assert dict(await sending) == {"sent": 1}
    assert await states(shop) == [("sent", None)]
    assert len(service.requests) == 1


async def test_a_sender_that_is_told_to_end_lets_what_is_on_its_way_end(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port, guides=2)
    service.answers = [Answer(late=True)]
    sender = Sender(shop.ledger, clock, "zh", transport=Transport(answer=20.0))
    await sender.look()
    await asyncio.to_thread(service.wait_for, 1)
    ending = asyncio.create_task(sender.end())
    await asyncio.sleep(0)  # it has begun to end
    service.over.set()
    await ending
    assert sorted(state for state, _ in await states(shop)) == ["sent", "waiting"]
    assert len(service.requests) == 1


async def test_endpoints_that_hang_hold_up_nobody_else(shop: Brand, service: Service, clock: Clock) -> None:
    guides = [f"G{n}" for n in range(1, 12)]
    await a_day(shop, guides=len(guides))
    with http_service() as hanging:
        hanging.answer = Answer(silent=True)
        for code in guides:
            port = service.port if code == guides[-1] else hanging.port
            await a_webhook(shop, port, scope="guide", code=code, path=code)
        await nudge(shop)
        sender = Sender(shop.ledger, clock, "zh", transport=Transport(answer=20.0), attempt_within=0.5)
        await sender.look()
        await asyncio.to_thread(service.wait_for, 1)

        async def ended() -> bool:
            return sender.ended.total() == len(guides)

        await until(ended, "every attempt to be written down")
        assert sorted(await shop.rows("SELECT state, count(*) FROM outbox GROUP BY 1")) == [
            ("sent", 1),
            ("unknown", 10),
        ]
        hanging.over.set()
        await sender.settle()
        await sender.end()
        assert len(hanging.requests) == 10


async def test_what_found_no_thread_in_time_does_not_leave_when_one_comes_free_but_is_tried_again(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port)
    sender = Sender(shop.ledger, clock, "zh", transport=TRANSPORT, attempt_within=0.3)
    sender._threads = ThreadPoolExecutor(1)
    held = threading.Event()
    taken = sender._threads.submit(held.wait, 30)
    await sender.look()
    await sender.settle()
    assert await states(shop) == [("waiting", "no_thread")]
    held.set()
    assert taken.result(10)
    assert sender._threads.submit(len, "the queue is empty").result(10)
    assert service.requests == []
    clock.move(minutes=10)
    await sender.look()
    await sender.settle()
    await sender.end()
    assert len(service.requests) == 1
    assert await states(shop) == [("sent", None)]


async def test_the_endless_sender_sends_what_comes_and_ends_when_it_is_cancelled(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_day(shop)
    await a_webhook(shop, service.port)
    running = asyncio.create_task(run_outbox(shop.ledger, now=clock, language="zh"))
    await nudge(shop)
    await asyncio.to_thread(service.wait_for, 1)

    async def sent() -> bool:
        return await states(shop) == [("sent", None)]

    await until(sent, "the message to be sent")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(service.requests) == 1


# --- the switch --------------------------------------------------------------------------------------


async def test_a_stop_is_obeyed_by_every_later_claim_until_it_is_lifted(
    shop: Brand, service: Service, clock: Clock
) -> None:
    endpoint = await a_nudged_day(shop, service.port, guides=2)
    assert (await stop_messages(shop.ledger, shop.command(), "wrong text")).changed
    assert await deliver(shop, clock) == {}
    assert await claimed(shop, endpoint, clock) is None
    assert {state for state, _ in await states(shop)} == {"waiting"}
    assert (await resume_messages(shop.ledger, shop.command(), "mended")).changed
    assert await deliver(shop, clock) == {"sent": 2}


async def test_the_switch_is_on_the_record_and_thrown_once(shop: Brand) -> None:
    results = await asyncio.gather(
        *(stop_messages(shop.ledger, shop.command(), f"reason {n}") for n in range(4))
    )
    assert sorted(result.changed for result in results) == [False] * 3 + [True]
    again = shop.command("messages/again")
    await resume_messages(shop.ledger, again, "fine")
    await resume_messages(shop.ledger, again, "fine")
    rows = await shop.rows("SELECT type, version FROM event WHERE stream = 'messages' ORDER BY version")
    assert rows == [("messages_stopped", 1), ("messages_resumed", 2)]
    async with shop.ledger.connection() as connection:
        switch = await read_switch(connection, 1)
    assert (switch.stopped, switch.reason, switch.version) == (False, "fine", 2)


async def test_a_stop_waits_for_the_claims_before_it(shop: Brand) -> None:
    await shop.execute("INSERT INTO message_stop VALUES (1, false, '', now(), 0)")
    async with shop.ledger.transaction() as claiming:
        await claiming.execute("SELECT FROM message_stop FOR SHARE")
        stopping = asyncio.create_task(stop_messages(shop.ledger, shop.command(), "stop"))
        await until(lambda: shop.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the stop to wait")
        assert not stopping.done()
    assert (await stopping).changed


async def test_a_switch_needs_a_reason(shop: Brand) -> None:
    with pytest.raises(Refused):
        await stop_messages(shop.ledger, shop.command(), "  ")
    assert await shop.value("SELECT count(*) FROM event") == 0


async def test_what_expires_while_messages_are_stopped_is_not_sent_afterwards(
    shop: Brand, service: Service, clock: Clock
) -> None:
    await a_nudged_day(shop, service.port)
    await stop_messages(shop.ledger, shop.command(), "stop")
    clock.move(hours=3)
    assert await deliver(shop, clock) == {"expired": 1}
    await resume_messages(shop.ledger, shop.command(), "go")
    assert await deliver(shop, clock) == {}
    assert service.requests == []


# --- by hand -----------------------------------------------------------------------------------------


async def test_a_person_may_have_an_unknown_message_sent_once_more(
    shop: Brand, service: Service, clock: Clock
) -> None:
    endpoint = await a_nudged_day(shop, service.port)
    service.answers = [Answer(silent=True)]
    await deliver(shop, clock)
    purpose = str(await shop.value("SELECT purpose FROM outbox"))
    message = await retry_message(shop.ledger, shop.command(when=clock()), purpose, endpoint.endpoint_id)
    assert message.state == "waiting"
    assert await deliver(shop, clock) == {"sent": 1}
    rows = await shop.rows(
        "SELECT payload->>'state', payload->>'why' FROM event WHERE type = 'message_retried'"
    )
    assert rows == [("unknown", "no_answer")]


@pytest.mark.parametrize(
    ("state", "hours", "code"),
    [
        ("sent", 0, "message_not_retriable"),
        ("waiting", 0, "message_not_retriable"),
        ("sending", 0, "message_not_retriable"),
        ("expired", 0, "message_not_retriable"),
        ("dead", 2, "message_too_late"),
        ("unknown", 2, "message_too_late"),
    ],
)
async def test_nothing_else_is_sent_once_more(
    shop: Brand, clock: Clock, state: str, hours: int, code: str
) -> None:
    endpoint = await a_nudged_day(shop, 1)
    await shop.execute("UPDATE outbox SET state = $1", state)
    clock.move(hours=hours)
    purpose = str(await shop.value("SELECT purpose FROM outbox"))
    before = await shop.everything()
    with pytest.raises(Refused) as refused:
        await retry_message(shop.ledger, shop.command(when=clock()), purpose, endpoint.endpoint_id)
    assert [problem.code for problem in refused.value.problems] == [code]
    assert await shop.everything() == before
    with pytest.raises(NotFound):
        await retry_message(shop.ledger, shop.command(when=clock()), "nudge/x", endpoint.endpoint_id)


# --- reading -----------------------------------------------------------------------------------------


async def test_pages_hold_every_message_once_newest_first(shop: Brand) -> None:
    await a_day(shop, guides=5)
    await a_webhook(shop, 1, path="a")
    await a_webhook(shop, 1, path="b")
    await nudge(shop)
    await nudge(shop, "15:00", 15)
    seen, after = [], None
    async with shop.ledger.connection() as connection:
        while page := await list_messages(connection, 1, after=after, limit=3):
            seen += page
            after = page[-1].place
        waiting = await list_messages(connection, 1, state="waiting", after=seen[0].place, limit=100)
        with pytest.raises(Refused):
            await list_messages(connection, 1, state="lost")
    assert len(seen) == len({message.place for message in seen}) == 20
    assert seen == sorted(seen, key=lambda message: message.place, reverse=True)
    assert waiting == seen[1:10], "those of the earlier slot have been overtaken"
    assert (seen[0].slot, seen[0].day, seen[0].channel) == ("15:00", date(2026, 3, 2), "webhook")


async def test_messages_are_counted_by_state_and_what_is_settled_from_an_instant_on(shop: Brand) -> None:
    await a_nudged_day(shop, 1, guides=3)
    await shop.execute(
        "UPDATE outbox SET state = 'sent' WHERE guide_id = (SELECT guide_id FROM outbox LIMIT 1)"
    )
    async with shop.ledger.connection() as connection:
        counts = await count_messages(connection, 1)
        later = await count_messages(connection, 1, since=at(2, 13))
    assert (counts["waiting"].messages, counts["waiting"].oldest, counts["sent"].messages) == (2, NOON, 1)
    assert (later["waiting"].messages, later["sent"].messages, later["unknown"].oldest) == (2, 0, None)
