"""A guide goes to another dealer's store: what she did stays, the members who stay are not hers, and nobody's new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
import pytest_asyncio

from activities.sessions import digest
from domain.policy import Role
from ledger.account_places import Grant
from ledger.asking import standing
from ledger.ledger import Ledger
from ledger.staff import hold_staff
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.identities import identity

WITHDRAWN = {"purpose": "contact", "given": False, "source": "phone"}


@dataclass
class Places:
    """Who looks on: the managers of the old and the new store, the new dealer, and the guide herself."""

    old: Api
    new: Api
    dealer: Api
    guide: Api

    async def strangers(self) -> set[int]:
        """How the new store and its dealer are answered when they ask for a member."""
        asked = [await one.get("/v1/timeline/member/M1") for one in (self.new, self.dealer)]
        return {one.status_code for one in (*asked, await self.new.get("/v1/members/M1/consents"))}


@pytest_asyncio.fixture
async def places(shop: Brand, served: Ledger, tasks: list[UUID]) -> AsyncIterator[Places]:
    """After the lists of Monday: all of them are G1's."""
    assert tasks
    await shop.hire("G2")
    await shop.open_store("S2")
    await shop.hire("H1", "S2")
    await shop.execute("UPDATE store SET dealer = CASE code WHEN 'S1' THEN 'A' ELSE 'B' END")
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    made = Places(*[
        Api(shop, served=served, token=await identity(shop.ledger, login, grant, guide=its))
        for login, grant, its in (
            ("old", Grant(Role.STORE_MANAGER, "S1"), None),
            ("new", Grant(Role.STORE_MANAGER, "S2"), None),
            ("dealer", Grant(Role.DEALER, "B"), None),
            ("guide", Grant(Role.GUIDE), guide),
        )
    ])  # fmt: skip
    yield made
    for one in vars(made).values():
        await one.http.aclose()


async def transfer(api: Api, on: str) -> None:
    done = await api.post("/v1/staff/transfer", {"guide": "G1", "store": "S2", "from_on": on})
    assert done.status_code == 200, done.text


def tomorrow(api: Api, places: Places) -> None:
    for one in (api, *vars(places).values()):
        one.now = at(3, 10)


@pytest.mark.parametrize("ended", ["close", "recall", None])
async def test_a_transfer_takes_no_members_along_whatever_became_of_the_plan(
    api: Api, places: Places, tasks: list[UUID], ended: str | None
) -> None:
    assert (await api.check_in(tasks[0], note="between a member and dealer A")).status_code == 201
    if ended:
        assert (await api.post(f"/v1/plans/p1/{ended}", {"reason": "over"})).status_code == 200
    await transfer(api, "2026-03-02")
    for day in (2, 3):
        assert await places.strangers() == {404}, day
        assert (await places.guide.get("/v1/timeline/member/M1")).status_code == 404
        refused = problem(await places.new.post("/v1/members/M1/consents", WITHDRAWN))
        assert refused == (404, [("member", "unknown_member")])
        for task in tasks:
            assert (await places.new.get(f"/v1/timeline/task/{task}")).status_code == 404
        tomorrow(api, places)


async def test_the_history_of_a_transferred_guide_stays_with_the_store_where_she_stood(
    api: Api, places: Places, tasks: list[UUID]
) -> None:
    assert (await api.check_in(tasks[0])).status_code == 201
    await transfer(api, "2026-03-03")
    tomorrow(api, places)
    assert (await places.old.get(f"/v1/timeline/task/{tasks[0]}")).status_code == 200
    assert (await places.new.get(f"/v1/timeline/task/{tasks[0]}")).status_code == 404
    kept, shown = [(await one.get("/v1/timeline/guide/G1")).json() for one in (places.old, places.new)]
    assert {"list_published"} <= {event["type"] for event in kept["items"]}
    assert [event["type"] for event in shown.get("items", [])] == []
    lists = [await one.get("/v1/guides/G1/today") for one in (places.old, places.new)]
    assert [answer.status_code for answer in lists] == [200, 404]
    assert len(lists[0].json()["items"]) == len(tasks)


async def test_members_of_an_old_store_are_gone_before_the_workers_pass_has_moved_them(
    api: Api, places: Places, shop: Brand, tasks: list[UUID]
) -> None:
    await transfer(api, "2026-03-03")
    tomorrow(api, places)
    assert await places.strangers() == {404}  # whoever asks first puts it into force
    assert await shop.value(
        "SELECT count(*) FROM guide_posting WHERE applied_at IS NOT NULL AND settled_at IS NULL"
    )
    assert await shop.value("SELECT count(*) FROM task WHERE state = 'open' AND guide_id = (SELECT guide_id FROM guide"
                            " WHERE code = 'G1')")  # fmt: skip
    for task in tasks:
        assert (await places.new.get(f"/v1/timeline/task/{task}")).status_code == 404
        assert (await places.old.get(f"/v1/timeline/task/{task}")).status_code == 200


async def test_a_guide_still_reports_what_was_before_the_plan_ended(
    api: Api, places: Places, tasks: list[UUID]
) -> None:
    assert (await api.post("/v1/plans/p1/recall", {"reason": "over"})).status_code == 200
    places.guide.now = at(3, 9)
    said = await places.guide.check_in(tasks[0], occurred_at=at(2, 9, 30).isoformat(), note="late")
    assert said.status_code == 201, said.text


async def test_whoever_once_served_a_member_serves_them_no_more(
    api: Api, places: Places, shop: Brand, tasks: list[UUID]
) -> None:
    assert (await places.guide.get("/v1/timeline/member/M1")).status_code == 200
    await shop.execute("UPDATE plan_cycle SET state = 'settled'")
    assert (await places.guide.get("/v1/timeline/member/M1")).status_code == 404
    await shop.execute("UPDATE plan_cycle SET state = 'checked'")
    assert (await places.guide.get("/v1/timeline/member/M1")).status_code == 200
    await shop.execute("UPDATE plan SET status = 'closed', ended_at = $1", at(2, 9))
    places.guide.now = at(5, 9)
    assert (await places.guide.get("/v1/timeline/member/M1")).status_code == 404


async def test_nobody_waits_for_whoever_holds_the_staff_and_rights_change_with_the_day(
    api: Api, places: Places, shop: Brand
) -> None:
    await transfer(api, "2026-03-03")
    leaving = await api.post("/v1/staff/leave", {"guide": "H1", "last_on": "2026-03-02"})
    assert leaving.status_code == 200, leaving.text
    h1 = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'H1'")))
    gone = Api(
        shop, served=api.served, token=await identity(shop.ledger, "gone", Grant(Role.GUIDE), guide=h1)
    )
    tomorrow(api, places)
    gone.now = places.guide.now
    async with gone.http, shop.ledger.transaction() as connection:
        await hold_staff(connection, 1)
        answers = await asyncio.wait_for(
            asyncio.gather(*(places.new.get("/v1/guides/G1/today") for _ in range(25))), 20
        )
        assert len({answer.status_code for answer in answers}) == 1
        assert not await shop.value("SELECT count(*) FROM guide_posting WHERE applied_at IS NOT NULL")
        assert (await gone.get("/v1/me")).status_code == 401
        for who, sees in ((places.old, set()), (places.new, {"G1"})):
            async with standing(api.served, digest(who.token), who.now) as stood:  # type: ignore[arg-type]
                assert stood is not None
                acts = {str(one) for one in stood.asker.acts_for}
            g1 = str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'"))
            assert ({"G1"} if g1 in acts else set()) == sees
        assert await places.strangers() == {404}
    await api.get("/v1/plans")
    assert await shop.value("SELECT count(*) FROM guide_posting WHERE applied_at IS NOT NULL") == 2
