"""Boards over HTTP: each sees its own reach, in whatever form; a guide her store's board and her own rank."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from typing import Any
from uuid import UUID

import openpyxl
import pytest

from domain.policy import Role
from ledger.account_places import Grant
from ledger.sequencer import sequence
from sheets import printed, workbook
from tests.api.conftest import Api, problem
from tests.brand import at, plan
from tests.identities import identity

SINCE = {"since": "2026-03-02", "until": "2026-03-02"}


@pytest.fixture
async def drive(api: Api) -> Api:
    """A phone drive on Monday: G1 and G2 of S1, G3 of S2, each with four members; G1 reached all of hers."""
    brand = api.brand
    await brand.open_store("S2")
    guides = {
        "G1": UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'"))),
        "G2": await brand.hire("G2"),
        "G3": await brand.hire("G3", "S2"),
    }
    for code, guide in guides.items():
        await brand.due_on(2, *(f"{code}-{n}" for n in range(4)), guide=guide)
    await brand.start(plan())
    await brand.morning(2, *guides.values())
    members = await brand.listed(2, guides["G1"])
    told = [
        ("added_friend", {}),
        ("joined_group", {}),
        ("booked_visit", {"next_on": date(2026, 3, 4)}),
        ("no_answer", {}),
    ]
    for number, (member, (outcome, more)) in enumerate(zip(members, told, strict=True)):
        reached = {} if outcome == "no_answer" else {"grade": "A", "products": ("TIN",)}
        await brand.report(
            await brand.task(member), guides["G1"], at(2, 9, 10 + number), outcome, **more, **reached
        )
    (third, *_) = await brand.listed(2, guides["G3"])
    await brand.report(
        await brand.task(third), guides["G3"], at(2, 9, 30), "interested", note="卡号在备注里", salt=b"0" * 16
    )
    await brand.buy(members[1], at(2, 11), 1, value=80_00)
    async with brand.ledger.connection() as connection:
        await sequence(connection, 1)
    api.now = at(2, 20)
    return api


async def asked(api: Api, path: str, token: str = "", **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await api.http.get(f"/v1/boards/{path}", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_guide_sees_the_board_of_her_store_and_her_own_rank(drive: Api) -> None:
    guide = await drive.brand.value("SELECT guide_id FROM guide WHERE code = 'G2'")
    token = await identity(drive.brand.ledger, "g2", Grant(Role.GUIDE), guide=guide)
    told = await asked(drive, "leaderboard", token)
    assert [(row["rank"], row["guide"], row["completed"], row["me"]) for row in told["rows"]] == [
        (1, "G1", 3, False),
        (2, "G2", 0, True),
    ]
    assert (told["whole"], told["position"] > 0, told["complete_until"]["calls"]) == (False, True, None)
    other = await drive.http.get(
        "/v1/boards/leaderboard", params={"store": "S2"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert problem(other) == (404, [("store", "unknown_store")])
    for path in ("lost-orders", "invitations", "successes", "funnel/p1", "summary/p1", "month?on=2026-03-01"):
        answer = await drive.http.get(f"/v1/boards/{path}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403, path


async def test_a_store_manager_sees_her_store_and_an_organiser_the_whole_campaign(drive: Api) -> None:
    manager = await identity(drive.brand.ledger, "m2", Grant(Role.STORE_MANAGER, "S2"))
    organiser = await identity(drive.brand.ledger, "o1", Grant(Role.ORGANISER, "p1"))
    for token, guides, due in (
        (manager, ["G3"], 4),
        (organiser, ["G1", "G3", "G2"], 12),
        ("", ["G1", "G3", "G2"], 12),
    ):
        board = await asked(drive, "leaderboard", token)
        assert [row["guide"] for row in board["rows"]] == guides
        funnel = await asked(drive, "funnel/p1", token)
        assert funnel["rows"][0] == {
            "stage": "due", "source": "lists", "members": due,
            "of_before": {"percent": 100.0, "numerator": due, "denominator": due},
            "of_due": {"percent": 100.0, "numerator": due, "denominator": due},
        }  # fmt: skip
        summary = await asked(drive, "summary/p1", token)
        assert [row["code"] for row in summary["rows"] if row["level"] == "guide"] == sorted(guides)
        assert summary["total"]["due"] == due
    assert (await asked(drive, "month", organiser, on="2026-03-02"))["rows"] == []
    calls = await asked(drive, "invitations", manager, **SINCE)
    assert [(row["guide"], row["outcome"], row["member"]) for row in calls["rows"]] == [
        ("G3", "interested", "W＊＊（尾号1234）")
    ]
    # A campaign knows members by id: not what they are called, nor what they bought.
    won = await asked(drive, "successes", organiser, **SINCE)
    assert [(row["member"], row["joined"], row["bought"]) for row in won["rows"]] == [
        ("＊＊", True, None),
        ("＊＊", False, None),
    ]


async def test_the_funnel_counts_as_the_check_does_and_leads_down_to_members(drive: Api) -> None:
    told = {row["stage"]: row for row in (await asked(drive, "funnel/p1"))["rows"]}
    assert {stage: row["members"] for stage, row in told.items()} == {
        "due": 12, "contacted": 5, "joined": 1, "took_part": None, "gift_received": None, "left_contact": 0, "booked": 1,
        "came": 0, "bought": 1, "followed_again": 0, "needs_recorded": 3,
    }  # fmt: skip
    assert told["left_contact"]["of_before"] == {"percent": 0.0, "numerator": 0, "denominator": 1}
    assert told["took_part"]["source"] is told["took_part"]["of_due"] is None
    await drive.brand.review.check_cycle(drive.brand.plan_step("p1", 1, at(2, 20)))
    stored = (await drive.get("/v1/plans/p1/report")).json()["total"]
    assert (stored["due"], stored["attempted"], stored["provisional_succeeded"]) == (12, 5, 1)
    first = (await drive.get("/v1/boards/funnel/p1/contacted", limit=3)).json()
    rest = (await drive.get("/v1/boards/funnel/p1/contacted", limit=3, after=first["next"])).json()
    members = [one["member_id"] for one in (*first["items"], *rest["items"])]
    assert (len(set(members)), members, rest["next"]) == (5, sorted(members), None)
    assert first["items"][0]["member"] == "W＊＊（尾号1234）"
    refused = await drive.get("/v1/boards/funnel/p1/gift_received")
    assert problem(refused) == (422, [("stage", "stage_not_recorded")])
    assert problem(await drive.get("/v1/boards/funnel/p9")) == (404, [("plan", "unknown_plan")])


async def test_the_sheets_hold_the_calls_and_what_came_of_them_page_by_page(drive: Api) -> None:
    first = await asked(drive, "invitations", limit=3, **SINCE)
    rest = await asked(drive, "invitations", limit=3, after=first["next"], **SINCE)
    names = ("guide", "products", "grade", "outcome", "added", "joined_by")
    assert [tuple(row[name] for name in names) for row in (*first["rows"], *rest["rows"])] == [
        ("G1", "TIN", "A", "added_friend", True, ""),
        ("G1", "TIN", "A", "joined_group", False, "phone"),
        ("G1", "TIN", "A", "booked_visit", False, ""),
        ("G1", "", "C", "no_answer", False, ""),
        ("G3", "", "", "interested", False, ""),
    ]
    assert first["rows"][0]["dialled_at"] == "2026-03-02T01:10:00+00:00"
    assert (rest["next"], first["position"]) == (None, None)
    won = await asked(drive, "successes", **SINCE)
    names = ("outcome", "next_on", "joined", "bought", "at_once")
    assert [tuple(row[name] for name in names) for row in won["rows"]] == [
        ("joined_group", "", True, True, True),
        ("booked_visit", "2026-03-04", False, False, True),
    ]
    everything = str(
        [first, rest, won, (await drive.get("/v1/boards/successes", **SINCE, **{"as": "print"})).text]
    )
    assert "备注里" not in everything


async def test_a_board_is_a_workbook_of_typed_cells_set_up_for_a4(drive: Api) -> None:
    answer = await drive.get("/v1/boards/leaderboard", **{"as": "xlsx", "measure": "revenue"})
    assert answer.headers["content-type"] == workbook.MEDIA_TYPE
    assert (
        answer.headers["content-disposition"]
        == 'attachment; filename="daogou-leaderboard-2026-03-02-2026-03-02.xlsx"'
    )
    again = await drive.get("/v1/boards/leaderboard", **{"as": "xlsx", "measure": "revenue"})
    assert again.content == answer.content
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    rows = list(sheet.iter_rows())
    head = next(at for at, row in enumerate(rows) if row[0].value == "名次")
    heads = [one.value for one in rows[head]]
    first = dict(zip(heads, rows[head + 1], strict=True))
    assert (first["工号"].value, first["应跟进"].value, first["已跟进"].value) == ("G1", 4, 3)
    assert (first["完成率"].value, first["完成率"].number_format) == (0.75, "0.0%")
    assert first["完成率（计数）"].value == "3/4"
    assert (first["业绩（至今）"].value, first["业绩（至今）"].number_format) == (80, "#,##0.00")
    assert sheet.freeze_panes == f"A{head + 2}"
    assert (int(sheet.page_setup.paperSize), sheet.page_setup.orientation) == (9, "landscape")
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert int(sheet.page_setup.fitToHeight) == 0
    assert sheet.print_title_rows == f"${head + 1}:${head + 1}"
    basis = " ".join(str(row[0].value) for row in rows[:head])
    told = await asked(drive, "leaderboard")
    assert f"position={told['position']}" in basis
    assert "数据完整" in basis or "没有来源说明" in basis
    english = await drive.http.get(
        "/v1/boards/leaderboard", params={"as": "xlsx"}, headers={"Accept-Language": "en"}
    )
    texts = [
        one.value
        for row in openpyxl.load_workbook(io.BytesIO(english.content)).active.iter_rows()
        for one in row
    ]
    assert {"Rank", "Followed up", "Completion"} <= set(texts)


async def test_dates_and_instants_are_typed_and_what_anybody_typed_is_never_a_formula(drive: Api) -> None:
    for code in ('=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(A1)"):
        await drive.brand.execute(
            "UPDATE guide SET code = $1 WHERE code = 'G1' OR left(code, 1) IN ('=', '+', '-', '@')", code
        )
        answer = await drive.get("/v1/boards/successes", **SINCE, **{"as": "xlsx"})
        sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
        (row, *_) = [row for row in sheet.iter_rows() if row[0].value == code and row[4].value == "约好到店"]
        assert (row[0].data_type, row[0].hyperlink) == ("s", None)
        assert (row[3].value, row[3].is_date) == (datetime(2026, 3, 2, 9, 12), True)  # noqa: DTZ001 - as the sheet has it
        assert (row[7].value, row[7].is_date) == (datetime(2026, 3, 4), True)  # noqa: DTZ001
        assert "<f>" not in inside(answer.content)


def inside(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        return parts.read("xl/worksheets/sheet1.xml").decode()


async def test_a_page_to_print_is_escaped_and_loads_nothing(drive: Api) -> None:
    await drive.brand.execute("UPDATE store SET name = '<script>alert(1)</script>' WHERE code = 'S1'")
    answer = await drive.get("/v1/boards/leaderboard", **{"as": "print", "by": "store"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == printed.CONTENT_SECURITY_POLICY
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script>" not in answer.text
    assert "size: A4 landscape" in answer.text
    assert "table-header-group" in answer.text


async def test_hrs_month_asked_again_is_the_same_and_comes_page_by_page(drive: Api) -> None:
    told = await asked(drive, "month", on="2026-03-15", limit=2)
    assert [(row["guide"], row["days_worked"], row["due"], row["completed"]) for row in told["rows"]] == [
        ("G1", 1, 4, 3),
        ("G2", 0, 4, 0),
    ]
    rest = await asked(drive, "month", on="2026-03-15", limit=2, after=told["next"])
    assert ([row["guide"] for row in rest["rows"]], rest["next"]) == (["G3"], None)
    refused = await drive.get("/v1/boards/month", on="2026-03-15", limit=2, **{"as": "xlsx"})
    assert problem(refused) == (422, [("limit", "sheet_too_long")])
    (other, *_) = await drive.brand.listed(
        2, await drive.brand.value("SELECT guide_id FROM guide WHERE code = 'G2'")
    )
    guide = await drive.brand.value("SELECT guide_id FROM guide WHERE code = 'G2'")
    await drive.brand.report(await drive.brand.task(other), guide, at(2, 19, 55), "interested")
    async with drive.brand.ledger.connection() as connection:
        await sequence(connection, 1)
    drive.now = at(3, 9)
    moment = {"at": told["at"], "position": told["position"]}
    assert await asked(drive, "month", on="2026-03-01", limit=2, **moment) == told
    assert (await asked(drive, "month", on="2026-03-01"))["rows"][1]["completed"] == 1


async def test_a_span_is_refused_that_is_longer_than_a_page(drive: Api) -> None:
    answer = await drive.get("/v1/boards/invitations", since="2026-03-01", until="2026-04-01")
    assert problem(answer) == (422, [("since", "span_too_long")])
    answer = await drive.get("/v1/boards/invitations", since="2026-03-02", until="2026-03-01")
    assert problem(answer) == (422, [("since", "span_empty")])
    answer = await drive.get("/v1/boards/leaderboard", position=10**9)
    assert problem(answer) == (422, [("position", "as_of_beyond")])
