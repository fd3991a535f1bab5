import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.value_quadrant import Quadrant, quadrant

# No deadline: a busy machine is no defect.
QUICKLY = settings(max_examples=60, deadline=None)
KV, KG, RV, RG = Quadrant.KEY_VALUE, Quadrant.KEY_GROWTH, Quadrant.REGULAR_VALUE, Quadrant.REGULAR_GROWTH


@pytest.mark.parametrize(
    ("n", "fen", "expected"),
    [
        (2, 60_000, KV),
        (3, 60_000, KV),
        (1, 60_000, KG),
        (1, 59_999, RG),
        (2, 30_000, RV),
        (1, 45_000, RG),
        (3, 20_000, RG),
        (0, 0, RG),
    ],
)
def test_worked_examples_of_the_value_quadrant(n: int, fen: int, expected: Quadrant) -> None:
    assert quadrant(n, fen).quadrant is expected
    assert quadrant(n, fen).dormant is (n == 0)


def test_a_negative_count_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^n: "):
        quadrant(-1, 0)


ORDER = [RG, RV, KG, KV]


@QUICKLY
@given(st.integers(0, 9), st.integers(-100_000, 200_000), st.integers(0, 9), st.integers(0, 100_000))
def test_who_buys_more_often_and_for_more_is_never_valued_less(
    n: int, fen: int, more: int, extra: int
) -> None:
    before, after = quadrant(n, fen).quadrant, quadrant(n + more, fen + extra).quadrant
    assert ORDER.index(after) >= ORDER.index(before)
