"""Feeds: a message is signed, taken whole or not at all, once, and the order in which messages come does not matter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from itertools import permutations
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from activities.feeds import name_of
from api.replayed import REPLAYED
from domain.errors import Refused
from domain.identifiers import derived_id, personal_id
from infra.key_store import SqliteKeys
from ledger.ending_access import end_all_access
from ledger.feeds import OVERLAP, SECRETS, create_feed, end_feed, rotate_secret, secrets_of
from ledger.people import seal_text
from ledger.watermarks import complete_until
from tests.api.conftest import Api, problem
from tests.api.sender import Sender, call, sender
from tests.brand import Brand, at
from tests.conftest import LedgerDatabase
from tests.whole_database import tables_that_hold

CALLED = at(2, 9, 30)


@pytest_asyncio.fixture
async def pbx(api: Api) -> Sender:
    await api.brand.join("M1")
    return await sender(api)


async def valid(pbx: Sender, source: str = "pbx") -> list[tuple[Any, ...]]:
    return await pbx.api.brand.rows(
        "SELECT kind, key, revision, seconds, occurred_at FROM valid_records($1) WHERE source = $2 ORDER BY kind, key",
        at(20),
        source,
    )


async def test_a_message_is_taken_once(pbx: Sender) -> None:
    first = await pbx.send([call(occurred_at=CALLED)], message="m1")
    assert (first.status_code, first.json()["new"], first.json()["same"]) == (200, 1, 0)
    again = await pbx.send([call(occurred_at=CALLED)], message="m1")
    assert again.json() == first.json()
    assert again.headers[REPLAYED] == "true"
    assert REPLAYED not in first.headers
    other = await pbx.send([call(occurred_at=CALLED)])
    assert (other.json()["new"], other.json()["same"]) == (0, 1)
    assert len(await valid(pbx)) == 1


async def test_a_message_id_used_for_something_else_is_refused(pbx: Sender) -> None:
    await pbx.send([call(occurred_at=CALLED)], message="m1")
    answer = await pbx.send([call("c2", occurred_at=CALLED)], message="m1")
    assert problem(answer) == (409, [("webhook-id", "message_used_otherwise")])


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"secret": b"another"}, "wrong_signature"),
        ({"sent": b'{"records": []}'}, "wrong_signature"),
        ({"signed_at": at(2, 9, 54)}, "message_not_timely"),
        ({"signed_at": at(2, 10, 6)}, "message_not_timely"),
    ],
)
async def test_what_is_not_signed_now_by_the_source_is_refused(
    pbx: Sender, how: Mapping[str, Any], code: str
) -> None:
    answer = await pbx.send([call(occurred_at=CALLED)], **how)
    status, problems = problem(answer)
    assert (status, [told for _, told in problems]) == (401, [code])
    assert not await valid(pbx)


async def test_nobody_is_told_which_sources_there_are(pbx: Sender) -> None:
    known = await pbx.send([], secret=b"another")
    pbx.source = "nowhere"
    unknown = await pbx.send([], secret=b"another")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


async def test_a_source_that_is_not_there_is_as_much_work_as_one_that_is(pbx: Sender) -> None:
    """One look into database and key store, and the signatures: nothing that could be timed is left out."""
    ledger, now = pbx.api.brand.ledger, pbx.api.now
    asked: list[int] = []

    class Watched(SqliteKeys):
        async def get_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
            asked.append(len(members))
            return await super().get_many(members)

    keys = ledger.keys
    assert isinstance(keys, SqliteKeys)
    watched = replace(ledger, keys=Watched(keys.path, 1))
    found = [await secrets_of(watched, source, now) for source in ("pbx", "nowhere", "%00", "\0")]
    assert [len(one) for one in found] == [SECRETS] * 4
    assert asked == [SECRETS] * 4
    assert pbx.secret in found[0]
    await rotate_secret(ledger, pbx.api.brand.command("rotate", now), "pbx", derived_id("secret", "2"))
    assert len(await secrets_of(watched, "pbx", now)) == SECRETS
    watched.keys.close()


async def test_the_id_of_a_message_is_kept_under_a_key_alone(pbx: Sender, database: LedgerDatabase) -> None:
    await pbx.send([call(occurred_at=CALLED)], {"calls": CALLED}, message="20260302-1")
    plain = sha256(b"20260302-1").hexdigest()
    assert await tables_that_hold(database.admin_url, "20260302-1", plain) == []
    kept = await pbx.api.brand.rows("SELECT message FROM feed_message")
    assert kept == [(await name_of(pbx.api.brand.ledger, "20260302-1"),)]


async def test_a_message_of_the_version_before_is_still_taken_once(pbx: Sender) -> None:
    first = await pbx.send([call(occurred_at=CALLED)], message="m1")
    await pbx.api.brand.execute(
        "INSERT INTO feed_message SELECT tenant_id, source, $1, body, root, answer, known_at FROM feed_message",
        sha256(b"old").hexdigest(),
    )
    body = first.request.content
    again = await pbx.send([call(occurred_at=CALLED)], message="old")
    assert (again.json(), again.request.content) == (first.json(), body)
    assert again.headers[REPLAYED] == "true"


async def test_an_unsigned_request_is_refused_before_its_body_is_read(pbx: Sender) -> None:
    answer = await pbx.api.http.post(
        "/v1/feeds/pbx", content=b"{", headers={"content-type": "application/json"}
    )
    assert problem(answer) == (401, [("webhook-signature", "wrong_signature")])


async def test_a_rotated_secret_works_on_for_a_day_and_an_ended_source_not_at_all(pbx: Sender) -> None:
    api, brand = pbx.api, pbx.api.brand
    new = await rotate_secret(
        brand.ledger, brand.command("rotate", api.now), "pbx", derived_id("secret", "2")
    )
    assert (await pbx.send([])).status_code == 200
    assert (await pbx.send([], secret=new)).status_code == 200
    api.now += OVERLAP
    assert (await pbx.send([])).status_code == 401
    assert (await pbx.send([], secret=new)).status_code == 200
    await end_feed(brand.ledger, brand.command("end", api.now), "pbx", "replaced")
    assert (await pbx.send([], secret=new)).status_code == 401


async def test_after_a_restore_a_source_needs_a_new_secret(pbx: Sender) -> None:
    brand, api = pbx.api.brand, pbx.api
    ended = await end_all_access(brand.ledger, brand.command("restored", api.now), "restored_from_backup")
    assert ended.feeds == 1
    assert (await pbx.send([])).status_code == 401
    new = await rotate_secret(
        brand.ledger, brand.command("rotate", api.now), "pbx", derived_id("secret", "3")
    )
    assert (await pbx.send([], secret=new)).status_code == 200


async def give_number(brand: Brand, member: UUID, number: str) -> None:
    keys = await brand.ledger.keys.get_many([member])
    sealed = seal_text(keys[member], brand.ledger.tenant_id, member, "phone", number)
    await brand.execute("UPDATE member_person SET phone_sealed = $2 WHERE member_id = $1", member, sealed)


REVISIONS = (
    call("c1", occurred_at=CALLED, revision=1, seconds=0, answered=False),
    call("c1", occurred_at=CALLED, revision=2, seconds=70),
    call("c1", occurred_at=CALLED, revision=3, seconds=75),
    call("c2", occurred_at=CALLED, revision=1, seconds=30),
    call("c2", occurred_at=CALLED, revision=2, voided=True),
)


async def test_in_whatever_order_records_come_the_same_ones_hold(pbx: Sender) -> None:
    """Each order of the corrections of a call, and of one that is taken back, each sent twice."""
    for number, order in enumerate([*permutations(REVISIONS[:3]), *permutations(REVISIONS[3:])]):
        source = await sender(pbx.api, f"pbx-{number}")
        for told in (*order, order[0]):
            assert (await source.send([told])).status_code == 200
        held = {("calls", "c1", 3, 75, CALLED)} if order[0]["key"] == "c1" else set()
        assert set(await valid(pbx, source.source)) == held


async def test_a_record_said_otherwise_under_the_same_revision_is_refused_whole(pbx: Sender) -> None:
    await pbx.send([call(occurred_at=CALLED)])
    answer = await pbx.send([call("c2", occurred_at=CALLED), call(occurred_at=CALLED, seconds=61)])
    assert problem(answer) == (409, [("records.1.revision", "record_differs")])
    assert [row[1] for row in await valid(pbx)] == ["c1"]


async def test_a_record_is_the_same_when_its_number_has_more_or_other_members_since(pbx: Sender) -> None:
    brand = pbx.api.brand
    told = call(phone="13800001234", occurred_at=CALLED)
    assert (await pbx.send([told])).json()["new"] == 1
    await brand.join("M2", "M0", "M9")
    again = await pbx.send([told | {"phone": "+86 138-0000-1234"}, call("c2", occurred_at=CALLED)])
    assert (again.json()["new"], again.json()["same"]) == (1, 1)
    # M1 gives the number up, another member has it now: the source still says what it said.
    await give_number(brand, personal_id(brand.secret, "member", "M1"), "13900009999")
    assert (await pbx.send([told])).json()["same"] == 1
    # Erased, nothing says any more which number it was.
    await brand.ledger.keys.destroy(personal_id(brand.secret, "member", "M1"))
    assert (await pbx.send([told])).json()["same"] == 1


async def test_another_number_under_the_same_revision_is_another_content(pbx: Sender) -> None:
    brand = pbx.api.brand
    (other,) = await brand.join("M2")
    await pbx.send([call(phone="13800001234", occurred_at=CALLED)])
    await give_number(brand, other, "13900009999")
    answer = await pbx.send([call(phone="13900009999", occurred_at=CALLED)])
    assert problem(answer) == (409, [("records.0.revision", "record_differs")])
    assert (await pbx.send([call(member="M2", occurred_at=CALLED)])).json()["same"] == 1
    await brand.join("M3")
    answer = await pbx.send([call(member="M3", occurred_at=CALLED)])
    assert problem(answer) == (409, [("records.0.revision", "record_differs")])


async def test_a_message_with_one_wrong_record_is_not_taken(pbx: Sender) -> None:
    bad = [
        call(occurred_at=CALLED),
        call("c2", occurred_at=CALLED, guide="G9"),
        call("c3", occurred_at=CALLED, member="M9"),
        call("c4", occurred_at=at(2, 11)),
    ]
    assert problem(await pbx.send(bad[:3])) == (
        422,
        [("records.1.guide", "unknown_guide"), ("records.2.member", "unknown_member")],
    )
    assert problem(await pbx.send(bad[3:])) == (422, [("records.0.occurred_at", "occurred_in_future")])
    assert not await valid(pbx)


async def test_a_source_that_can_be_none_is_as_unknown_as_any(pbx: Sender) -> None:
    pbx.source = "%00"
    assert (await pbx.send([])).status_code == 401


async def test_a_number_is_looked_up_and_not_kept(pbx: Sender, database: LedgerDatabase) -> None:
    known = call(phone="+86 138-0000-1234", occurred_at=CALLED)
    unknown = call("c2", phone="13900009999", occurred_at=CALLED)
    answer = await pbx.send([known, unknown])
    assert (answer.json()["new"], answer.json()["outside"]) == (1, 1)
    inside = call("x13800001234", phone="13800001234", occurred_at=CALLED)
    broken_up = call("x-138-0000-1234", phone="13800001234", occurred_at=CALLED)
    for personal in (inside, broken_up):
        assert problem(await pbx.send([personal])) == (422, [("records.0.key", "record_key_personal")])
    assert await tables_that_hold(database.admin_url, "13800001234", "138-0000-1234", "13900009999") == []


async def test_a_return_takes_back_what_was_bought(pbx: Sender) -> None:
    brand = pbx.api.brand
    member = (await brand.rows("SELECT member_id FROM member"))[0][0]
    basket = await brand.buy(member, at(1), 4)
    told = {
        "kind": "returns", "key": "r1", "return_of": basket, "product": "TIN-1", "quantity": 2, "value_minor": 5000,
        "occurred_at": CALLED,
    }  # fmt: skip
    early = await pbx.send([told | {"return_of": "b99"}])
    assert problem(early) == (422, [("records.0.return_of", "unknown_purchase")])
    assert (await pbx.send([told])).json()["new"] == 1
    assert (await pbx.send([told])).json()["same"] == 1
    assert problem(await pbx.send([told | {"quantity": 1}])) == (409, [("records.0.key", "return_differs")])
    kept = await brand.rows(
        "SELECT member_id, quantity, value_minor, return_of FROM purchase WHERE is_return"
    )
    assert kept == [(member, -2, -5000, basket)]


async def test_no_more_is_returned_than_was_bought(pbx: Sender) -> None:
    brand = pbx.api.brand
    member = (await brand.rows("SELECT member_id FROM member"))[0][0]
    basket = await brand.buy(member, at(1), 4)
    told = {
        "kind": "returns", "return_of": basket, "product": "TIN-1", "value_minor": 0, "occurred_at": CALLED,
    }  # fmt: skip
    assert (await pbx.send([told | {"key": "r1", "quantity": 3}])).status_code == 200
    over = await pbx.send([told | {"key": "r2", "quantity": 2}])
    assert problem(over) == (422, [("records.0.quantity", "returned_more_than_bought")])
    assert "只买了 4，其中 3 以前已退" in over.text
    together = [told | {"key": key, "quantity": 0.6} for key in ("r3", "r4")]
    assert problem(await pbx.send(together)) == (422, [("records.1.quantity", "returned_more_than_bought")])
    other = [told | {"key": "r5", "quantity": quantity} for quantity in (0.2, 0.3)]
    assert problem(await pbx.send(other)) == (422, [("records.1.key", "return_twice")])
    assert await brand.value("SELECT sum(quantity) FROM purchase") == 1
    again = await pbx.send([told | {"key": "r1", "quantity": 3}, told | {"key": "r6", "quantity": 1}])
    assert (again.json()["new"], again.json()["same"]) == (1, 1)


async def test_a_source_tells_only_what_it_was_registered_for(pbx: Sender) -> None:
    brand, api = pbx.api.brand, pbx.api
    wecom = await sender(api, "wecom", ())
    friend = {"kind": "friends", "key": "f1", "guide": "G1", "member": "M1", "occurred_at": CALLED}
    refused = await wecom.send([friend, call(occurred_at=CALLED)], {"purchases": CALLED, "friends": CALLED})
    assert problem(refused) == (
        422,
        [("records.1.kind", "kind_not_of_source"), ("complete_until.purchases", "kind_not_of_source")],
    )
    assert "daogou feed rotate wecom --kinds friends,calls" in refused.text
    assert not await valid(wecom, "wecom")
    assert (await wecom.send([friend], {"friends": CALLED})).json()["new"] == 1
    await rotate_secret(
        brand.ledger,
        brand.command("more", api.now),
        "wecom",
        derived_id("secret", "w"),
        kinds=["calls", "friends"],
    )
    assert (await wecom.send([call(occurred_at=CALLED)])).json()["new"] == 1
    with pytest.raises(Refused) as nothing_said:
        await sender(api, "crm", ())
    assert [one.code for one in nothing_said.value.problems] == ["feed_kinds_not_said"]


async def test_ending_a_source_and_beginning_it_again_changes_no_answer_of_the_past(
    pbx: Sender, database: LedgerDatabase
) -> None:
    brand, api = pbx.api.brand, pbx.api
    await pbx.send([], {"calls": at(2, 9)})
    api.now = at(5)
    other = await sender(api, "pbx-2")
    await other.send([], {"calls": at(4)})
    await end_feed(brand.ledger, brand.command("end", at(6)), "pbx", "replaced")

    async def told() -> list[datetime | None]:
        async with brand.ledger.connection() as connection:
            asked = [at(5, 12), at(6), at(7), at(9), at(12)]
            return [(await complete_until(connection, 1, when))["calls"] for when in asked]

    assert await told() == [at(2, 9), *[at(4)] * 4]
    command = brand.command("again", at(9))
    await create_feed(brand.ledger, command, "pbx", derived_id("secret", "4"))
    assert await told() == [at(2, 9), at(4), at(4), at(2, 9), at(2, 9)]
    await end_feed(brand.ledger, brand.command("end again", at(10)), "pbx", "replaced")
    assert await told() == [at(2, 9), at(4), at(4), at(2, 9), at(4)]
    # The version before kept no terms; the migration takes them from the events, with every kind.
    _, _, migration = (files("ledger.migrations") / "0014.sql").read_text().partition("-- Sources of before")
    statement = migration[migration.index("INSERT INTO feed_terms") : migration.index(";")]
    connection = await asyncpg.connect(database.admin_url, server_settings={"search_path": "daogou"})
    await connection.execute("SET session_replication_role = replica; DELETE FROM feed_terms")
    await connection.execute(statement)
    await connection.close()
    assert await told() == [at(2, 9), at(4), at(4), at(2, 9), at(4)]


async def test_a_watermark_only_moves_on_and_never_into_the_future(pbx: Sender) -> None:
    for until, moved in ((at(2, 9), True), (at(2, 8), False), (at(2, 9, 30), True)):
        answer = await pbx.send([], {"calls": until})
        assert bool(answer.json()["complete_until"]) is moved
    ahead = await pbx.send([], {"calls": at(2, 11)})
    assert problem(ahead) == (422, [("complete_until.calls", "complete_in_future")])
    told = (await pbx.api.get("/v1/claims")).json()["complete_until"]
    assert datetime.fromisoformat(told["calls"]) == at(2, 9, 30)
    assert told["friends"] is None


async def test_a_message_is_an_event_that_commits_to_its_records(pbx: Sender) -> None:
    await pbx.send([call(occurred_at=CALLED), call("c2", occurred_at=CALLED)], {"calls": CALLED})
    events = await pbx.api.brand.rows(
        "SELECT payload->'records'->>'calls', length(payload->>'root'), payload->'complete_until'->>'calls' IS NOT NULL"
        " FROM event WHERE type = 'records_received'"
    )
    assert events == [("2", 64, True)]


async def test_a_source_that_sends_too_much_is_told_to_wait(pbx: Sender) -> None:
    await pbx.api.brand.execute(
        "INSERT INTO sign_in_window SELECT 1, sha256(s.id_secret || sha256(s.id_secret || 'feed/pbx'::bytea)), $1, 600"
        " FROM tenant_secret s",
        pbx.api.now,
    )
    answer = await pbx.send([call(occurred_at=CALLED)])
    assert problem(answer) == (429, [("source", "too_many_messages")])
    assert int(answer.headers["retry-after"]) > 0
