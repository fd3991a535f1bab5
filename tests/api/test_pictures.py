"""Pictures over HTTP: kept sealed beside the ledger, shown by reach, gone with the member, and held against their events."""

from __future__ import annotations

import base64
from uuid import UUID

import asyncpg

from activities.asked import Asked
from activities.members import erase_member
from domain.pictures import digest_of
from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from ledger.verify import Verification, verify
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.conftest import LedgerDatabase
from tests.identities import identity
from tests.three_guides import folds_agree

PNG, JPEG = b"\x89PNG\r\n\x1a\n what the sheet shows", b"\xff\xd8\xff\xe0 a screenshot"


def sent(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def verified(brand: Brand) -> Verification:
    async with brand.ledger.connection() as connection:
        return await verify(connection, 1, keys=brand.ledger.keys)


async def erased(brand: Brand, member: UUID) -> None:
    code = (await brand.person(member)).code
    await erase_member(brand.ledger, code or "", "asked for", Asked(None, at(2, 12), "hq"))


async def erased_while_moved(brand: Brand, member: UUID, item: tuple[UUID, UUID, UUID], sheet: UUID) -> None:
    """`item`: with the guide on whose list it was printed, and who has it while its member is erased."""
    task, guide, other = item
    moved = "UPDATE list_item SET guide_id = $2 WHERE task_id = $1"
    await brand.execute(moved, task, other)
    await erased(brand, member)
    assert await brand.value("SELECT erased_at IS NOT NULL FROM picture WHERE picture_id = $1", sheet)
    await brand.execute(moved, task, guide)


async def refused_sheets(g1: Api) -> None:
    """Neither of who was erased, nor of a day nobody's erasure would find."""
    after = await g1.post("/v1/guides/G1/days/2026-03-02/pictures", {"content": sent(PNG + b"2")})
    assert problem(after) == (422, [("content", "picture_erased")])
    without = await g1.post("/v1/guides/G1/days/2026-03-09/pictures", {"content": sent(PNG)})
    assert problem(without) == (404, [("date", "no_list")])


async def test_pictures_are_kept_shown_by_reach_erased_with_their_member_and_held_against_their_events(
    api: Api, shop: Brand, tasks: list[UUID], served: Ledger, database: LedgerDatabase
) -> None:
    other = await shop.hire("G2")
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    hers = await identity(shop.ledger, "g1", Grant(Role.GUIDE), guide=guide)
    others = await identity(shop.ledger, "g2", Grant(Role.GUIDE), guide=other)
    g1, g2 = (Api(shop, served=served, token=token) for token in (hers, others))

    told = {"performed_by": "G1", "content": sent(JPEG)}
    kept = await g1.post(f"/v1/tasks/{tasks[0]}/pictures", told)
    assert (kept.status_code, kept.json()["sha256"], kept.json()["duplicate"]) == (
        201,
        digest_of(JPEG),
        False,
    )
    again = await g1.post(f"/v1/tasks/{tasks[0]}/pictures", told)
    assert again.json() == kept.json() | {"duplicate": True}
    assert (await g1.check_in(tasks[0], evidence=kept.json()["sha256"])).status_code == 201
    second = await g1.post(f"/v1/tasks/{tasks[1]}/pictures", told | {"content": sent(JPEG + b"2")})
    sheet = await g1.post("/v1/guides/G1/days/2026-03-02/pictures", {"content": sent(PNG)})
    assert sheet.status_code == 201

    listed = (await g1.get("/v1/guides/G1/pictures", date="2026-03-02")).json()["pictures"]
    assert sorted(one["kind"] for one in listed) == ["evidence", "evidence", "sheet"]
    shown = await g1.get(f"/v1/pictures/{sheet.json()['picture_id']}")
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    unknown = (404, [("picture", "unknown_picture")])
    assert problem(await g2.get(f"/v1/pictures/{sheet.json()['picture_id']}")) == unknown
    assert problem(await g2.post(f"/v1/tasks/{tasks[0]}/pictures", told)) == (
        422,
        [("performed_by", "unknown_guide")],
    )
    assert problem(await g2.post(f"/v1/tasks/{tasks[0]}/pictures", told | {"performed_by": "G2"})) == (
        404,
        [("task_id", "unknown_task")],
    )
    for content, code in ((sent(b"GIF89a"), "not_a_picture"), ("?", "not_base64")):
        refused = await g1.post(f"/v1/tasks/{tasks[0]}/pictures", told | {"content": content})
        assert problem(refused) == (422, [("content", code)])
    stored = await shop.rows("SELECT sealed FROM picture_content")
    assert not [row for row in stored if b"screenshot" in row[0] or b"sheet" in row[0]]
    result = await verified(shop)
    assert (result.differences, result.beside.pictures) == ((), 3)
    assert await folds_agree(shop) == []

    # The owner of the database puts one picture in another's place, and takes one away.
    owner = await asyncpg.connect(database.admin_url)
    ids = [UUID(one.json()["picture_id"]) for one in (kept, second, sheet)]
    await owner.execute(
        "UPDATE daogou.picture_content SET sealed = (SELECT sealed FROM daogou.picture_content WHERE picture_id = $2)"
        " WHERE picture_id = $1",
        ids[0],
        ids[1],
    )
    assert problem(await g1.get(f"/v1/pictures/{ids[0]}")) == unknown
    await owner.execute("DELETE FROM daogou.picture_content WHERE picture_id = $1", ids[1])
    await owner.close()
    found = {(one.stream, one.kind) for one in (await verified(shop)).differences}
    assert found == {
        (f"picture/{ids[0]}", "picture exchanged"),
        (f"picture/{ids[1]}", "picture of the event is missing"),
    }

    # Whoever is erased takes along their evidence, and every sheet of a day they were listed on, even if by now another
    # guide has the item.
    members = [await shop.value("SELECT member_id FROM task WHERE task_id = $1", one) for one in tasks[:2]]
    await erased_while_moved(shop, members[0], (tasks[0], guide, other), ids[2])
    await erased(shop, members[1])
    await refused_sheets(g1)
    assert await shop.value("SELECT count(*) FROM picture_content") == 0
    assert problem(await g1.get(f"/v1/pictures/{ids[2]}")) == unknown
    assert {ids[2], *members} <= await shop.ledger.keys.destroyed()
    result = await verified(shop)
    assert (result.differences, result.beside.erased) == ((), 3)
    assert await folds_agree(shop) == []
