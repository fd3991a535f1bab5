"""`daogou board`: on the screen, as JSON, as files; what cannot be told is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import openpyxl

from tests.cli.shop import Shop


def test_a_month_is_on_the_screen_in_json_and_in_files(stocked: Shop, tmp_path: Path) -> None:
    xlsx, page = tmp_path / "march.xlsx", tmp_path / "march.html"
    done = stocked.run("board", "month", "2026-03", "--xlsx", str(xlsx), "--print", str(page))
    assert done.exit_code == 0, done.output
    assert "月度考核表：2026-03" in done.output
    assert "2026-03-01 至 2026-03-31" in done.output
    told = stocked.json("board", "month", "2026-03", "--limit", "1")
    assert ([row["guide"] for row in told["rows"]], told["next"]) == (["G1"], "G1")
    texts = [cell.value for row in openpyxl.load_workbook(xlsx).active.iter_rows() for cell in row]
    assert {"工号", "完成率", "G1", "G2"} <= set(texts)
    assert "<td>G2</td>" in page.read_text(encoding="utf-8")
    english = stocked.run("board", "leaders", "--span", "week", lang="en")
    assert "Leaderboard: followed up (by guide)" in english.output
    assert "Nothing is recorded." in english.output


def test_what_no_board_can_tell_is_refused_with_what_to_do(stocked: Shop, tmp_path: Path) -> None:
    folder = str(tmp_path / "none" / "x.xlsx")
    for arguments, field, code in (
        (("leaders", "--store", "S9"), "store", "unknown_store"),
        (("lost", "--region", "R9"), "region", "unknown_region"),
        (("calls", "--guide", "G9"), "guide", "unknown_guide"),
        (("funnel", "none"), "plan", "unknown_plan"),
        (("funnel", "none", "--stage", "gift_received"), "stage", "stage_not_recorded"),
        (("summary", "none"), "plan", "unknown_plan"),
        (("successes", "--since", "2026-01-01", "--until", "2026-03-01"), "since", "span_too_long"),
        (("leaders", "--at", "2999-01-01T00:00:00Z"), "at", "as_of_future"),
        (("month", "2026-03", "--xlsx", folder), "FILE", "board_unwritable"),
    ):
        told = stocked.json("board", *arguments)["error"]["problems"]
        assert [(one["field"], one["code"]) for one in told] == [(field, code)], arguments
