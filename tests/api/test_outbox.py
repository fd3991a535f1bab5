"""Messages over HTTP."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.api.conftest import Api, problem
from tests.brand import Brand, at

REASON = {"reason": "a wrong text"}


async def message(
    shop: Brand, purpose: str, *, state: str = "waiting", minute: int = 0, endpoint: int = 1
) -> None:
    await shop.execute(
        "INSERT INTO outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at, state, endpoint_id)"
        " VALUES (1, $1, 'nudge', $2, '{}', $3, $4, $5, $6)",
        purpose, UUID(int=1), at(2, 9, minute), at(2, 20), state, endpoint,
    )  # fmt: skip


async def test_messages_are_paged_newest_first_and_by_state(api: Api, shop: Brand) -> None:
    for number in range(5):
        await message(shop, f"nudge/{number}", minute=number, state="dead" if number == 3 else "waiting")
    seen, after = [], None
    for _ in range(3):
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await api.get("/v1/outbox", **query)).json()
        seen += [one["purpose"] for one in page["items"]]
        after = page["next"]
        await message(shop, f"later/{len(seen)}", minute=30 + len(seen))
    assert seen == [f"nudge/{number}" for number in (4, 3, 2, 1, 0)]
    dead = (await api.get("/v1/outbox", state="dead")).json()
    assert [one["purpose"] for one in dead["items"]] == ["nudge/3"]
    assert problem(await api.get("/v1/outbox", state="lost")) == (422, [("state", "not_a_choice")])


async def test_the_summary_counts_by_state_and_shows_the_switch(api: Api, shop: Brand) -> None:
    await message(shop, "nudge/1")
    told = (await api.get("/v1/outbox/summary")).json()
    assert told["switch"] == {"stopped": False, "reason": "", "changed_at": None}
    assert told["states"]["waiting"]["messages"] == 1
    assert told["states"]["dead"] == {"messages": 0, "oldest": None}


async def test_messages_are_stopped_and_started_with_a_reason(api: Api, shop: Brand) -> None:
    stopped = await api.post("/v1/outbox/stop", REASON)
    assert (stopped.status_code, stopped.json()["changed"]) == (200, True)
    assert stopped.json()["switch"]["reason"] == "a wrong text"
    assert (await api.post("/v1/outbox/stop", REASON)).json()["changed"] is False
    started = await api.post("/v1/outbox/start", REASON)
    assert (started.json()["changed"], started.json()["switch"]["stopped"]) == (True, False)
    types = await shop.rows("SELECT type FROM event WHERE stream = 'messages' ORDER BY version")
    assert types == [("messages_stopped",), ("messages_resumed",)]


async def test_a_stop_sent_again_with_its_key_stops_no_second_time(api: Api) -> None:
    await api.post("/v1/outbox/stop", REASON, key="a")
    await api.post("/v1/outbox/start", REASON, key="b")
    again = await api.post("/v1/outbox/stop", REASON, key="a")
    assert (again.json()["changed"], again.json()["switch"]["stopped"]) == (False, False)
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("name", ["stop", "start"])
async def test_the_switch_wants_a_reason(api: Api, name: str) -> None:
    assert problem(await api.post(f"/v1/outbox/{name}", {"reason": " "})) == (
        422,
        [("reason", "reason_missing")],
    )


async def test_a_dead_message_is_sent_once_more_by_hand(api: Api, shop: Brand) -> None:
    await shop.execute(
        "INSERT INTO endpoint (tenant_id, endpoint_id, scope, code, kind, address, per_minute)"
        " VALUES (1, 1, 'brand', '', 'webhook', 'json://127.0.0.1:1/secret', 10)"
    )
    await message(shop, "nudge/1", state="dead")
    body = {"purpose": "nudge/1", "endpoint_id": 1}
    told = await api.post("/v1/outbox/retry", body)
    assert (told.status_code, told.json()["state"]) == (200, "waiting")
    assert "secret" not in told.text
    assert problem(await api.post("/v1/outbox/retry", body)) == (409, [("purpose", "message_not_retriable")])


async def test_a_message_nobody_wrote_is_not_found(api: Api) -> None:
    answer = await api.post("/v1/outbox/retry", {"purpose": "nudge/9", "endpoint_id": 1})
    assert problem(answer) == (404, [("purpose", "unknown_message")])
    answer = await api.post("/v1/outbox/retry", {"purpose": "nudge/9", "endpoint_id": 2**40})
    assert answer.status_code == 422
