"""The list on paper: printed with codes, filled in, entered on behalf; each line told, twice counts once."""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID

from openpyxl import load_workbook

from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.identities import identity


def results(answer: Any) -> list[tuple[str, list[str]]]:
    assert answer.status_code == 200, answer.text
    return [(line["result"], [one["code"] for one in line["problems"]]) for line in answer.json()["lines"]]


async def test_a_printed_sheet_is_entered_by_its_codes_and_counts_once(
    api: Api, shop: Brand, tasks: list[UUID], served: Ledger
) -> None:
    token = await identity(shop.ledger, "m1", Grant(Role.STORE_MANAGER, "S1"))
    manager = Api(shop, served=served, token=token)
    board = (await manager.get("/v1/boards/day-sheet", store="S1")).json()
    codes = [row["line"] for row in board["rows"]]
    assert [code[:4] for code in codes] == ["G1-1", "G1-2", "G1-3"]
    assert all(row["member"].startswith("W") and "138" not in row["member"] for row in board["rows"])
    sheet = await manager.http.get(
        "/v1/boards/day-sheet", params={"guide": "G1", "as": "xlsx"}, headers={"Accept-Language": "zh"}
    )
    page = load_workbook(io.BytesIO(sheet.content)).active
    assert page is not None
    texts = {str(cell.value) for row in page.iter_rows() for cell in row if cell.value is not None}
    assert {"编号", "结果（填写）", *codes} <= texts
    assert (page.page_setup.paperSize, page.freeze_panes is not None) == (9, True)

    wrong = codes[0][:-1] + ("A" if codes[0][-1] != "A" else "C")
    lines = [
        {"code": codes[0], "outcome": "interested", "grade": "A", "note": "likes it", "at": "09:30"},
        {"code": codes[1].lower().replace("g1", "G1"), "outcome": "no_answer"},
        {"code": codes[2], "outcome": "no_answer", "grade": "A"},
        {"code": wrong, "outcome": "came"},
        {"code": "G9-1AA", "outcome": "came"},
    ]
    first = await manager.post("/v1/sheets", {"day": "2026-03-02", "lines": lines})
    assert results(first) == [
        ("taken", []),
        ("taken", []),
        ("refused", ["grade_without_contact"]),
        ("refused", ["unknown_line"]),
        ("refused", ["unknown_line"]),
    ]
    assert [first.json()[name] for name in ("taken", "taken_before", "refused")] == [2, 0, 3]
    assert {one["value"] for one in first.json()["lines"][3]["problems"]} == {wrong}
    rows = await shop.rows("SELECT actor, guide_id, occurred_at, outcome FROM check_in ORDER BY occurred_at")
    guide = await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    assert [(row[1], row[2], row[3]) for row in rows] == [
        (guide, at(2, 9, 30), "interested"),
        (guide, at(2, 10), "no_answer"),
    ]
    assert all(row[0].startswith("account/") for row in rows), "credit is hers, the entry is the manager's"

    before = await shop.everything()
    manager.now = at(2, 11)
    again = await manager.post("/v1/sheets", {"day": "2026-03-02", "lines": lines})
    assert [one for one, _ in results(again)] == [
        "taken_before",
        "taken_before",
        "refused",
        "refused",
        "refused",
    ]
    other = await manager.post("/v1/sheets", {"day": "2026-03-02", "lines": [lines[0] | {"grade": "B"}]})
    assert results(other) == [("refused", ["line_entered_otherwise"])]
    assert await shop.everything() == before

    # The morning after, within the grace: what was written happened before the close.
    await shop.evening(2, guide)
    manager.now = at(3, 8)
    late = await manager.post("/v1/sheets", {"day": "2026-03-02", "lines": [lines[2] | {"grade": None}]})
    assert results(late) == [("taken", [])]
    assert await shop.value("SELECT occurred_at FROM check_in WHERE late") == at(2, 21)

    await shop.open_store("S9")
    stranger = await identity(shop.ledger, "m2", Grant(Role.STORE_MANAGER, "S9"))
    elsewhere = Api(shop, served=served, token=stranger)
    assert problem(await elsewhere.get("/v1/boards/day-sheet", store="S1")) == (
        404,
        [("store", "unknown_store")],
    )
    refused = await elsewhere.post("/v1/sheets", {"day": "2026-03-02", "lines": lines[:1]})
    assert results(refused) == [("refused", ["unknown_line"])]
