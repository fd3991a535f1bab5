from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.figures import revenue_tree

# No deadline: a busy machine is no defect.
QUICKLY = settings(max_examples=60, deadline=None)


def test_worked_example_1000_times_20_percent_times_one_and_a_half_times_200_is_60000() -> None:
    tree = revenue_tree(traffic=1_000, buyers=200, purchases=300, revenue=60_000)
    assert (tree.conversion, tree.purchases_per_buyer, tree.order_value) == (
        Fraction(1, 5),
        Fraction(3, 2),
        Fraction(200),
    )
    assert tree.product() == 60_000


@QUICKLY
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6), st.integers(-(10**9), 10**12))
def test_the_product_equals_the_revenue_recounted(traffic: int, buyers: int, more: int, revenue: int) -> None:
    assert revenue_tree(traffic, buyers, buyers + more, revenue).product() == revenue


def test_a_factor_without_its_count_has_no_value_and_neither_has_the_product() -> None:
    assert revenue_tree(0, 2, 3, 600).conversion is None
    assert revenue_tree(0, 2, 3, 600).product() is None
    assert revenue_tree(10, 0, 0, 0).conversion == 0
    assert revenue_tree(10, 0, 0, 0).product() is None


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ((-1, 0, 0, 0), "traffic"),
        ((1, -1, 0, 0), "buyers"),
        ((1, 0, -1, 0), "purchases"),
        ((1, 2, 1, 5), "purchases"),
        ((1, 0, 1, 5), "purchases"),
        ((1, 0, 0, 5), "revenue"),
    ],
)
def test_counts_that_contradict_each_other_are_refused_by_name(
    counts: tuple[int, int, int, int], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        revenue_tree(*counts)
