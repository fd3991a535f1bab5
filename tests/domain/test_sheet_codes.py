"""Codes of printed lines: read as they were typed, and other for another item or day."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sheet_codes import LineCode, check_letters, line_code, read_code

DAY = date(2026, 3, 2)
GUIDES = st.text(alphabet="G1abc-你", min_size=1, max_size=8).map(lambda code: f"x{code}x")


@given(GUIDES, st.integers(1, 9999), st.uuids())
def test_a_code_is_read_as_it_was_printed_whatever_the_case_of_its_letters(
    guide: str, rank: int, task: UUID
) -> None:
    code = line_code(guide, rank, task, DAY)
    stem, _, last = code.rpartition("-")
    expected = LineCode(guide, rank, check_letters(task, DAY))
    assert read_code(code) == read_code(f" {stem}-{last.lower()} ") == expected


@pytest.mark.parametrize("told", ["", "G1", "G1-3", "G1-KT", "-3KT", "G1-3KTX", "G1-33333KT", "G1-３KT"])
def test_what_is_no_code_is_none(told: str) -> None:
    assert read_code(told) is None


def test_the_letters_tell_most_wrong_lines_and_days() -> None:
    own = UUID(int=1)
    others = [check_letters(uuid5(own, str(number)), DAY) for number in range(2000)]
    assert others.count(check_letters(own, DAY)) < 20
    assert check_letters(own, DAY) != check_letters(own, date(2026, 3, 3))
