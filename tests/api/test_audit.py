"""The seal and a short verification over HTTP."""

from __future__ import annotations

import pytest

from api import audit
from ledger.seals import seal_new
from ledger.sequencer import sequence
from tests.api.conftest import Api, problem
from tests.brand import at


async def seal(api: Api) -> int:
    async with api.brand.ledger.connection() as connection:
        await sequence(connection, 1)
    sealed = await seal_new(api.brand.ledger, at(2))
    return sealed.position if sealed else 0


async def test_the_newest_seal_is_told_and_before_there_is_one_said_so(api: Api) -> None:
    assert problem(await api.get("/v1/audit/root")) == (404, [("seal", "nothing_sealed")])
    position = await seal(api)
    told = (await api.get("/v1/audit/root")).json()
    assert (told["position"], told["tenant"]) == (position, 1)
    assert len(told["root"]) == len(told["seal"]) == 64
    assert len(told["check_value"].split("-")) == 4


async def test_what_came_since_a_seal_is_verified_and_a_forgery_named(api: Api) -> None:
    await api.get("/v1/today/G1")
    told = (await api.get("/v1/audit/verification")).json()
    assert (told["ok"], told["since"], told["anchored_position"]) == (True, 0, 0)
    position = await seal(api)
    told = (await api.get("/v1/audit/verification", since=position)).json()
    assert (told["ok"], told["since"], told["events"]) == (True, position, 0)
    assert told["not_anchored"] >= position


async def test_a_long_verification_is_for_the_command_line(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_EVENTS", 0)
    async with api.brand.ledger.connection() as connection:
        await sequence(connection, 1)
    assert problem(await api.get("/v1/audit/verification", since=0)) == (
        422,
        [("since", "verification_too_long")],
    )
