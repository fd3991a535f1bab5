"""Ids are derived: the same key gives the same id on every machine and in every year."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.identifiers import derived_id, draw, personal_id

PARTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=8), min_size=1)


def test_ids_and_draws_never_change() -> None:
    assert personal_id(b"secret", "member", "M1") == UUID("2140641f-d4a0-8001-a9d7-5708dc80b133")
    assert personal_id(b"secret", "member", "会员一") == UUID("07ddf3e4-f99b-85d2-92e0-d17a8dbc8b77")
    assert derived_id("task", "p1", "1") == UUID("c1cfb509-af3f-8b8f-9cff-3dd55270465c")
    assert [draw(7, "done", str(n), below=1000) for n in range(5)] == [694, 556, 852, 244, 658]


def test_a_personal_id_depends_on_secret_kind_and_code() -> None:
    ids = {
        personal_id(secret, kind, code)
        for secret in (b"a", b"b")
        for kind in ("member", "guide")
        for code in ("1", "2")
    }
    assert len(ids) == 8


@settings(max_examples=200, deadline=None)
@given(PARTS, PARTS)
def test_different_keys_have_different_ids_and_the_same_key_the_same(
    one: list[str], other: list[str]
) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)


@settings(max_examples=100, deadline=None)
@given(PARTS)
def test_an_id_is_a_uuid_of_ones_own_making(parts: list[str]) -> None:
    made = derived_id(*parts)
    assert (made.version, made.variant) == (8, "specified in RFC 4122")


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**40), key=st.text(max_size=10), below=st.integers(1, 2000))
def test_a_draw_is_below_its_bound(seed: int, key: str, below: int) -> None:
    assert 0 <= draw(seed, key, below=below) < below


@pytest.mark.parametrize("sides", [2, 6])
def test_draws_are_even(sides: int) -> None:
    counts = Counter(draw(1, str(n), below=sides) for n in range(6000))
    assert sorted(counts) == list(range(sides))
    assert max(counts.values()) - min(counts.values()) < 6000 // sides // 5
