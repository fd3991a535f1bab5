"""docs/security.md answers every requirement of ASVS 5.0 level 1 and all of its chapter 8, and names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

WANTED = [
    "1.2.1",
    "1.2.2",
    "1.2.3",
    "1.2.4",
    "1.2.5",
    "1.3.1",
    "1.3.2",
    "1.5.1",
    "2.1.1",
    "2.2.1",
    "2.2.2",
    "2.3.1",
    "3.2.1",
    "3.2.2",
    "3.3.1",
    "3.4.1",
    "3.4.2",
    "3.5.1",
    "3.5.2",
    "3.5.3",
    "4.1.1",
    "4.4.1",
    "5.2.1",
    "5.2.2",
    "5.3.1",
    "5.3.2",
    "6.1.1",
    "6.2.1",
    "6.2.2",
    "6.2.3",
    "6.2.4",
    "6.2.5",
    "6.2.6",
    "6.2.7",
    "6.2.8",
    "6.3.1",
    "6.3.2",
    "6.4.1",
    "6.4.2",
    "7.2.1",
    "7.2.2",
    "7.2.3",
    "7.2.4",
    "7.4.1",
    "7.4.2",
    "8.1.1",
    "8.1.2",
    "8.1.3",
    "8.1.4",
    "8.2.1",
    "8.2.2",
    "8.2.3",
    "8.2.4",
    "8.3.1",
    "8.3.2",
    "8.3.3",
    "8.4.1",
    "8.4.2",
    "9.1.1",
    "9.1.2",
    "9.1.3",
    "9.2.1",
    "10.4.1",
    "10.4.2",
    "10.4.3",
    "10.4.4",
    "10.4.5",
    "11.3.1",
    "11.3.2",
    "11.4.1",
    "12.1.1",
    "12.2.1",
    "12.2.2",
    "13.4.1",
    "14.2.1",
    "14.3.1",
    "15.1.1",
    "15.2.1",
    "15.3.1",
]
"""Of the standard's own list: level 1, and chapter 8 of every level."""

ROWS = dict(re.findall(r"^\| (\d+\.\d+\.\d+) \|[^|]*\| ([^|]*) \|$", PAGE, re.MULTILINE))


def test_every_requirement_has_its_line_and_no_other_has() -> None:
    assert list(ROWS) == WANTED


@pytest.mark.parametrize("requirement", WANTED)
def test_a_requirement_names_a_test_that_exists_or_says_why_it_does_not_apply(requirement: str) -> None:
    told = ROWS[requirement]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", told)
    if not named:
        assert re.fullmatch(r"n/a: .{10,}", told), f"{requirement}: name a test, or say n/a: because …"
    for file, name in named:
        defined = {
            node.name
            for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in defined, f"{requirement}: there is no {name} in {file}"
