"""Staff over HTTP: HQ changes it, others see what is theirs; and a guide without a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
import pytest_asyncio

from domain.identifiers import personal_id
from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import SECRET, Brand, at
from tests.identities import account_id_of, identity

As = Callable[..., Awaitable[Api]]
CHANGES = (
    ("hire", {"guide": "G9", "name": "Li", "store": "S1"}),
    ("transfer", {"guide": "G1", "store": "S2"}),
    ("leave", {"guide": "G1"}),
    ("close-store", {"store": "S1", "to": "S2"}),
)


@pytest_asyncio.fixture
async def as_(shop: Brand, served: Ledger) -> AsyncIterator[As]:
    """A client of somebody with one grant, at the same time as `api`."""
    opened: list[Api] = []

    async def make(role: Role, place: str = "", *, guide: UUID | None = None) -> Api:
        login = f"{role.value}-{place}".lower().strip("-")
        token = await identity(shop.ledger, login, Grant(role, place), guide=guide)
        opened.append(Api(shop, served=served, token=token))
        return opened[-1]

    yield make
    for one in opened:
        await one.http.aclose()


@pytest_asyncio.fixture
async def two_stores(shop: Brand) -> Brand:
    await shop.open_store("S2")
    await shop.hire("G2", "S2")
    return shop


@pytest.mark.usefixtures("two_stores")
async def test_hq_hires_and_transfers_dated_ahead_and_everybody_sees_their_own(api: Api, as_: As) -> None:
    hired = await api.post(
        "/v1/staff/hire",
        {"guide": "G9", "name": "Li", "phone": "13812345678", "store": "S2", "from_on": "2026-03-05"},
    )
    assert hired.status_code == 200, hired.text
    assert hired.json() == {
        "first_on": "2026-03-05", "in_force": False, "dry_run": False, "duplicate": False, "moves": [],
        "guides": [], "keeps_roles": [],
    }  # fmt: skip
    assert await api.brand.value("SELECT guide_id FROM guide WHERE code = 'G9'") == personal_id(
        SECRET, "guide", "G9"
    )
    moved = await api.post("/v1/staff/transfer", {"guide": "G1", "store": "S2", "from_on": "2026-03-09"})
    assert moved.status_code == 200, moved.text
    told = await api.get("/v1/staff")
    assert "13812345678" not in told.text
    assert [(one["guide"], one["store"], one["active"], one["next_on"], one["next_store"])
            for one in told.json()["items"]] == [
        ("G1", "S1", True, "2026-03-09", "S2"),
        ("G2", "S2", True, None, None),
        ("G9", "S2", False, "2026-03-05", "S2"),
    ]  # fmt: skip
    for place, seen in (("S1", ["G1"]), ("S2", ["G2", "G9"])):
        manager = await as_(Role.STORE_MANAGER, place)
        assert [one["guide"] for one in (await manager.get("/v1/staff")).json()["items"]] == seen
    first = (await api.get("/v1/staff", limit=1)).json()
    rest = (await api.get("/v1/staff", limit=2, after=first["next"])).json()
    assert [one["guide"] for one in first["items"] + rest["items"]] == ["G1", "G2", "G9"]


@pytest.mark.usefixtures("two_stores")
@pytest.mark.parametrize(
    ("role", "place"), [(Role.STORE_MANAGER, "S1"), (Role.OWNER, ""), (Role.AUDITOR, "")]
)
async def test_nobody_but_hq_changes_staff(shop: Brand, as_: As, role: Role, place: str) -> None:
    somebody = await as_(role, place)
    for what, body in CHANGES:
        told = problem(await somebody.post(f"/v1/staff/{what}", body))
        assert told == (403, [("account", "not_allowed")])
    assert await shop.value("SELECT count(*) FROM guide_posting") == 0


@pytest.mark.usefixtures("two_stores")
@pytest.mark.parametrize("role", [Role.STORE_MANAGER, Role.OWNER, Role.AUDITOR])
async def test_without_the_apis_checks_row_level_security_still_lets_nobody_but_hq(
    shop: Brand, served: Ledger, role: Role
) -> None:
    token = await identity(shop.ledger, "somebody", Grant(role, "S1" if role is Role.STORE_MANAGER else ""))
    api = Api(shop, served=served, token=token, enforcing=False)
    async with api.http:
        for what, body in CHANGES:
            assert (await api.post(f"/v1/staff/{what}", body)).status_code in {403, 422}
    assert (
        await shop.rows("SELECT guide_id FROM guide_posting UNION SELECT store_id FROM store_closing") == []
    )
    assert await shop.value("SELECT count(*) FROM guide") == 2


async def test_a_leave_revokes_from_the_next_request_and_moves_the_list(
    api: Api, as_: As, two_stores: Brand, tasks: list[UUID]
) -> None:
    guide = personal_id(SECRET, "guide", "G1")
    her = await as_(Role.GUIDE, guide=guide)
    assert (await her.get("/v1/guides/G1/today")).status_code == 200
    body = {"guide": "G1", "last_on": "2026-03-01", "replacement": "G2"}
    foreseen = await api.post("/v1/staff/leave", body, dry_run="true")
    assert foreseen.json()["dry_run"]
    assert foreseen.json()["moves"] == [
        {"plan": "p1", "members": 2, "tasks": 2, "to": {"G2": 2}, "unassigned": [], "unassigned_reasons": []}
    ]
    assert (await her.get("/v1/guides/G1/today")).status_code == 200, "a preview changes nothing"
    done = await api.post("/v1/staff/leave", body, key="k1")
    assert done.json()["moves"] == foreseen.json()["moves"]
    assert problem(await her.get("/v1/guides/G1/today")) == (401, [("Authorization", "signed_out")])
    again = await api.post("/v1/staff/leave", body, key="k1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == done.json() | {"duplicate": True}
    open_items = await two_stores.rows("SELECT DISTINCT guide_id FROM task WHERE state = 'open'")
    assert open_items == [(personal_id(SECRET, "guide", "G2"),)]
    assert len(tasks) == 2
    actors = await two_stores.rows(
        "SELECT DISTINCT actor FROM event WHERE type IN ('guide_left', 'role_ended')"
    )
    assert actors == [(f"account/{account_id_of('hq')}",)]


@pytest.mark.usefixtures("two_stores")
@pytest.mark.parametrize(
    ("what", "body", "told"),
    [
        ("transfer", {"guide": "G8", "store": "S2"}, (422, [("guide", "unknown_guide")])),
        ("transfer", {"guide": "G1", "store": "S1"}, (409, [("store", "nothing_to_change")])),
        ("transfer", {"guide": "G1", "store": "S2", "from_on": "2026-02-01"}, (422, [("from_on", "too_long_ago")])),
        ("close-store", {"store": "S1"}, (409, [("store", "store_has_guides")])),
        ("hire", {"guide": "G1", "name": "Li", "store": "S2"}, (409, [("guide", "guide_exists")])),
        ("hire", {"guide": "G9", "name": "Li", "store": "S2", "phone": "call me"}, (422, [("phone", "not_as_described")])),
    ],
)  # fmt: skip
async def test_refusals_name_field_value_and_remedy(
    api: Api, what: str, body: dict[str, str], told: tuple[int, list[tuple[str, str]]]
) -> None:
    assert problem(await api.post(f"/v1/staff/{what}", body)) == told


async def test_a_manager_works_for_a_guide_without_a_phone_and_the_credit_is_hers(
    shop: Brand, as_: As, tasks: list[UUID]
) -> None:
    manager = await as_(Role.STORE_MANAGER, "S1")
    guide = personal_id(SECRET, "guide", "G1")
    actor = f"account/{account_id_of('store_manager-s1')}"
    clocked = await manager.post("/v1/guides/G1/clock-in")
    assert clocked.status_code == 200, clocked.text
    listed = await manager.get("/v1/guides/G1/today")
    assert [item["task_id"] for item in listed.json()["items"]] == [str(task) for task in tasks]
    report = await manager.check_in(tasks[0], performed_by="G1")
    assert report.status_code == 201, report.text
    assert await shop.rows(
        "SELECT type, actor, performed_by FROM event WHERE type IN ('clocked_in', 'checked_in') ORDER BY type"
    ) == [("checked_in", actor, str(guide)), ("clocked_in", actor, str(guide))]
    assert await shop.rows("SELECT guide_id, actor FROM check_in") == [(guide, actor)]


async def test_a_manager_does_not_work_for_a_guide_who_has_gone_to_another_store(
    api: Api, as_: As, two_stores: Brand, tasks: list[UUID]
) -> None:
    assert await two_stores.rows("SELECT listed FROM guide_day ORDER BY 1") == [(1,), (len(tasks),)]
    manager = await as_(Role.STORE_MANAGER, "S1")
    await api.post("/v1/staff/transfer", {"guide": "G1", "store": "S2", "from_on": "2026-03-03"})
    manager.now = at(2, 23)
    assert (await manager.get("/v1/guides/G1/today")).status_code == 200
    manager.now = at(3, 0)
    assert (await manager.get("/v1/guides/G1/today")).json()["day"] == "2026-03-02", (
        "what was stays with the store"
    )
    assert problem(await manager.get("/v1/guides/G1/today", date="2026-03-03"))[0] == 404
    assert problem(await manager.post("/v1/guides/G1/clock-in")) == (404, [("guide", "unknown_guide")])
