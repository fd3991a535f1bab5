"""What a message says."""

from __future__ import annotations

from datetime import date
from itertools import product
from string import Formatter

import pytest

from channels.texts import _wording, nudge_text

DAY = date(2026, 3, 2)


def test_both_languages_have_the_same_texts_with_the_same_gaps() -> None:
    def gaps(language: str) -> dict[tuple[str, str], set[str]]:
        return {
            (kind, part): {name for _, name, _, _ in Formatter().parse(text) if name}
            for kind, parts in _wording()[language].items()
            for part, text in parts.items()
        }

    assert gaps("zh") == gaps("en")
    assert set(_wording()) == {"zh", "en"}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_shared_endpoint_is_told_the_name_and_her_own_is_not(language: str) -> None:
    def text(*, shared: bool) -> str:
        return nudge_text(
            language, code="G1", name="张丽", day=DAY, slot="12:00", open_items=3, shared=shared
        ).body

    assert "张丽" in text(shared=True)
    assert "张丽" not in text(shared=False)
    assert "3" in text(shared=False)


@pytest.mark.parametrize(("language", "shared"), list(product(["zh", "en"], [True, False])))
def test_no_two_messages_read_the_same(language: str, *, shared: bool) -> None:
    texts = [
        nudge_text(language, code=code, name="张丽", day=day, slot=slot, open_items=3, shared=shared).body
        for code, day, slot in product(["G1", "G2"], [DAY, date(2026, 3, 3)], ["12:00", "17:00"])
    ]
    assert len(set(texts)) == len(texts) == 8


def test_a_guide_without_a_name_is_told_by_her_code() -> None:
    text = nudge_text("zh", code="G1", name="", day=DAY, slot="12:00", open_items=3, shared=True)
    assert "G1" in text.body
