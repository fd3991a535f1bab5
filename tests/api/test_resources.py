"""A guide's own resources over HTTP: as JSON, as a workbook, and to nobody else's eyes."""

from __future__ import annotations

import io
from datetime import timedelta
from uuid import UUID

from openpyxl import load_workbook

from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.identities import identity


async def test_a_guide_sees_her_own_resources_and_nobody_elses(
    api: Api, shop: Brand, tasks: list[UUID], served: Ledger
) -> None:
    other = await shop.hire("G2")
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.category("SOAP")
    hers = await identity(shop.ledger, "g1", Grant(Role.GUIDE), guide=guide)
    others = await identity(shop.ledger, "g2", Grant(Role.GUIDE), guide=other)
    g1, g2 = (Api(shop, served=served, token=token) for token in (hers, others))
    await g1.check_in(tasks[0], grade="A", products=["TIN", "SOAP"], next_on="2026-03-06")
    await g1.check_in(tasks[1], outcome="no_answer")

    g1.now = at(2, 10) + timedelta(days=31)
    board = (await g1.get("/v1/boards/resources/G1")).json()
    told = [
        (row["grade"], row["products"], row["members"], row["going_cold"], row["next_on"])
        for row in board["rows"]
    ]
    assert told == [
        ("A", "SOAP", 1, 1, "2026-03-06"),
        ("A", "TIN", 1, 1, "2026-03-06"),
        ("", "", 1, 0, "2026-03-02"),
        ("C", "", 1, 0, "2026-03-03"),
    ]
    assert (board["total"]["members"], board["total"]["going_cold"]) == (3, 1)
    members = (await g1.get("/v1/boards/resources/G1", by="member")).json()["rows"]
    assert [(row["member"][:1], row["grade"], row["going_cold"]) for row in members] == [
        ("W", "A", True),
        ("W", "C", False),
        ("W", "", False),
    ]
    assert problem(await g2.get("/v1/boards/resources/G1")) == (404, [("guide", "unknown_guide")])
    assert (await g2.get("/v1/boards/resources/G2")).json()["rows"] == []

    sheet = await g1.http.get(
        "/v1/boards/resources/G1", params={"as": "xlsx"}, headers={"Accept-Language": "zh"}
    )
    page = load_workbook(io.BytesIO(sheet.content)).active
    assert page is not None
    headings = {str(cell.value) for row in page.iter_rows() for cell in row if cell.value is not None}
    assert {"意向等级", "意向产品", "上次联系", "快冷掉"} <= headings
