"""Claims and signs over HTTP: whoever looks after guides sees theirs, nobody else sees any."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest_asyncio

from domain.messages import PlanStep
from domain.policy import Role
from ledger.account_places import Grant
from tests.api.conftest import Api, problem
from tests.brand import at
from tests.identities import identity
from tests.records import Records


@pytest_asyncio.fixture
async def accused(api: Api, tasks: list[UUID]) -> Api:
    """G1 claims three contacts at half past nine: one answered, one of two seconds, one of which nothing is known."""
    brand = api.brand
    guide = UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    members = await brand.listed(2, guide)
    for number, task in enumerate(tasks):
        await brand.report(task, guide, at(2, 9, 10 + number), "interested")
    records = Records(brand)
    await records.call(guide, members[0], at(2, 9, 10), 60)
    await records.call(guide, members[1], at(2, 9, 11), 2)
    await records.complete(at(2, 9, 55), "calls")
    api.now = at(3)
    return api


async def asked(api: Api, token: str, path: str, **query: Any) -> Any:
    answer = await api.http.get(path, params=query, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_store_manager_sees_her_store_and_another_one_nothing(accused: Api) -> None:
    await accused.brand.open_store("S2")
    own = await identity(accused.brand.ledger, "m1", Grant(Role.STORE_MANAGER, "S1"))
    other = await identity(accused.brand.ledger, "m2", Grant(Role.STORE_MANAGER, "S2"))
    claims = await asked(accused, own, "/v1/claims")
    assert [(one["standing"], one["records"]) for one in claims["items"]] == [
        ("contradicted", ["calls/pbx/c2"]),
        ("unconfirmed", []),
    ]
    (sign,) = (await asked(accused, own, "/v1/signs"))["items"]
    assert (sign["code"], sign["guide"], sign["records"]) == ("short_call", "G1", ["calls/pbx/c2"])
    assert sign["check_ins"] == [f"{claims['items'][0]['stream']}#{claims['items'][0]['version']}"]
    assert (await asked(accused, other, "/v1/claims"))["items"] == []
    assert (await asked(accused, other, "/v1/signs"))["items"] == []
    assert (await asked(accused, other, "/v1/claims/counts"))["total"]["claimed"] == 0


async def test_a_record_that_was_corrected_out_of_sight_counts_for_nobody(accused: Api) -> None:
    brand = accused.brand
    await brand.open_store("S2")
    other = await brand.hire("G2", "S2")
    (elsewhere,) = await brand.join("M9", store="S2")
    guide = UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    records = Records(brand, number=9)
    call = await records.call(guide, (await brand.listed(2, guide))[2], at(2, 9, 12), 60)
    manager = await identity(brand.ledger, "m1", Grant(Role.STORE_MANAGER, "S1"))

    async def counted() -> list[list[int]]:
        named = ("claimed", "confirmed", "contradicted", "unconfirmed")
        told = [await asked(accused, token, "/v1/claims/counts") for token in (accused.token, manager)]
        return [[one["total"][name] for name in named] for one in told]

    assert await counted() == [[3, 2, 1, 0]] * 2
    await records.correct(call, known_at=at(2, 10), guide_id=other, member_id=elsewhere)
    assert await counted() == [[3, 1, 1, 1]] * 2


async def test_counts_by_guide_store_and_plan_are_the_same_check_ins(accused: Api) -> None:
    for by, code in (("guide", "G1"), ("store", "S1"), ("plan", "p1")):
        told = (await accused.get("/v1/claims/counts", by=by)).json()
        (row,) = told["rows"]
        assert row.pop("code") == code
        assert row == told["total"]
        standings = [row[name] for name in ("claimed", "confirmed", "contradicted", "unconfirmed")]
        assert standings == [3, 1, 1, 1]


async def test_claims_come_page_by_page_and_by_how_they_stand(accused: Api) -> None:
    first = (await accused.get("/v1/claims", limit=1, standing=["confirmed", "unconfirmed"])).json()
    second = await accused.get(
        "/v1/claims", limit=1, standing=["confirmed", "unconfirmed"], after=first["next"]
    )
    told = [(one["standing"]) for page in (first, second.json()) for one in page["items"]]
    assert (told, second.json()["next"]) == (["confirmed", "unconfirmed"], None)


async def test_a_span_that_is_none_or_too_long_is_refused(accused: Api) -> None:
    noon, later = "2026-03-02T12:00:00+08:00", "2026-03-02T13:00:00+08:00"
    empty = await accused.get("/v1/claims", since=later, until=noon)
    assert problem(empty) == (422, [("since", "span_empty")])
    long = await accused.get("/v1/signs", since="2025-03-02T12:00:00+08:00")
    assert problem(long) == (422, [("since", "span_too_long")])
    odd = await accused.get("/v1/claims", after="nowhere")
    assert problem(odd) == (422, [("after", "not_a_cursor")])


async def test_a_report_says_how_its_claims_stand_and_how_far_its_data_went(accused: Api) -> None:
    await accused.brand.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(3), rehearsal=True))
    report = (await accused.get("/v1/plans/p1/report")).json()
    assert report["claims"]["confirmed"] == report["guides"][0]["claims"]["confirmed"] == 1
    assert report["complete_until"]["calls"].startswith("2026-03-02T01:55")
    assert report["complete_until"]["visits"] is None


async def test_a_guide_sees_no_signs(accused: Api) -> None:
    guide = UUID(str(await accused.brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    token = await identity(accused.brand.ledger, "g1", Grant(Role.GUIDE, ""), guide=guide)
    answer = await accused.http.get("/v1/signs", headers={"Authorization": f"Bearer {token}"})
    assert problem(answer) == (403, [("account", "not_allowed")])
