"""Contact accounts and limits over HTTP: who may say how often, and who sees what of an account."""

from __future__ import annotations

from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.api.test_lists import signed_in
from tests.brand import Brand, at, plan


async def test_limits_are_said_from_a_day_on_and_read_of_a_day_or_as_they_had_been_said(api: Api) -> None:
    api.now = at(2, 12)
    url = "/v1/contact-limits"
    assert (await api.get(url)).json()["limits"] == {"day": 1, "week": 3, "month": 8}
    body = {"from_on": "2026-03-09", "month": 6, "reason": "a quiet spring"}
    once = {"Idempotency-Key": "spring"}
    told = await api.http.put(url, json=body, headers=once)
    assert (await api.http.put(url, json=body, headers=once)).json() == told.json()
    assert (told.status_code, told.json()["day"]) == (200, "2026-03-09")
    assert told.json()["limits"] == {"day": 1, "week": 3, "month": 6}
    assert [one["from_on"] for one in told.json()["said"]] == [None, "2026-03-09"]
    assert (await api.get(url)).json()["limits"]["month"] == 8
    assert (await api.get(url, on="2026-03-10")).json()["limits"]["month"] == 6
    then = await api.get(url, on="2026-03-10", as_of="2026-03-02T11:00:00+08:00")
    assert then.json()["limits"]["month"] == 8
    refused = await api.http.put(url, json={"from_on": "2026-02-01", "day": 9, "reason": " "})
    assert problem(refused) == (
        422,
        [
            ("day", "contact_limit_above_longer"),
            ("from_on", "contact_limit_in_past"),
            ("reason", "reason_missing"),
        ],
    )


async def test_contacts_count_whoever_made_them_and_only_plans_in_sight_are_named(
    shop: Brand, served: Ledger
) -> None:
    """A guide sees that her member was called about another guide's plan, not about which."""
    await shop.open_store("S2")
    other = await shop.hire("G2", "S2")
    hers = await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    (member,) = await shop.due_on(2, "M1")
    await shop.due_on(2, "M1", category="SOAP")
    await shop.start(plan(care={"guides": ["G1"]}))
    await shop.start(
        plan(plan="p2", members={"bought_categories": ["SOAP"]}, care={"guides": ["G2"]}, priority="high")
    )
    await shop.morning(2, other)
    task = await shop.task(member)
    await shop.report(await shop.task(member, category="SOAP"), other, at(2, 10), "interested")
    boss = await signed_in(shop, served, "hers", guide="G1")
    boss.now = at(2, 12)
    told = (await boss.get(f"/v1/tasks/{task}/contacts")).json()
    assert hers != other
    assert (told["day"], told["left"], told["free_on"]) == ("2026-03-02", 0, "2026-03-03")
    assert told["contacts"] == [{"day": "2026-03-02", "plan": None, "kind": "phone", "contacts": 1}]
    assert [(one["period"], one["taken"], one["limit"]) for one in told["periods"]] == [
        ("day", 1, 1),
        ("week", 1, 3),
        ("month", 1, 8),
    ]
    assert (await boss.get("/v1/members/M1/contacts")).json() == told
    assert problem(await boss.get("/v1/members/M9/contacts")) == (404, [("member", "unknown_member")])
