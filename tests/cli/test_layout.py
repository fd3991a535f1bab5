"""Tables on screens of every width: nothing is cut."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli.layout import table

ROW = ("wang.min", "督导 市区、店长 S3", "2026-03-01 09:00", "1,234", "6f1f7a52-3c39-4a0e-9f0c-2f3c0e4d6a11")
HEADERS = ("登录名", "角色", "从", "任务", "编号")


def drawn(width: int, *, title: str = "") -> str:
    made = table(*HEADERS, right=(3,), fold=(1,), title=title)
    made.add_row(ROW[0], Text(ROW[1]), *ROW[2:])
    made.add_row("合计", "", "", "5,678", "", style="bold")
    made.caption = Text("另有 3 行")
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    console.print(made)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120])
def test_no_cell_is_cut_whatever_the_width(width: int) -> None:
    told = drawn(width, title="账号")
    together = "".join(told.split())
    pieces = [
        piece for cell in (*ROW, *HEADERS, "合计", "5,678", "另有 3 行", "账号") for piece in cell.split()
    ]
    assert [piece for piece in pieces if piece not in together] == []
    assert "…" not in told
    assert max(cell_len(line) for line in told.splitlines()) <= width


def test_what_finds_no_room_stands_below_its_row_with_its_name() -> None:
    lines = [line.rstrip() for line in drawn(60).splitlines()]
    assert lines[0].split() == ["登录名", "角色", "从", "任务"]
    assert lines[2].startswith("wang.min")
    assert f"  编号 {ROW[4]}" in lines


def test_a_word_of_latin_letters_is_broken_on_no_narrow_screen() -> None:
    made = table("用途", "权限", "到期", "编号", fold=(0, 1))
    made.add_row("夜里导出报表", "accounts.manage, consent.set", "2026-03-01 09:00+08:00", ROW[4])
    for width in range(40, 110):
        console = Console(file=io.StringIO(), width=width)
        console.print(made)
        assert isinstance(console.file, io.StringIO)
        told = console.file.getvalue()
        assert [one for one in ("accounts.manage", "consent.set", ROW[4]) if one not in told] == [], width


def test_on_a_wide_screen_a_row_is_a_line() -> None:
    assert len(drawn(120).splitlines()) == 5
