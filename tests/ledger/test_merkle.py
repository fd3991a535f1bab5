"""The tree follows RFC 9162: held against its own words, written down recursively, and the vectors of RFC 6962's authors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import Tree, inclusion_path, leaf_hash, node_hash, root_from_path

# Of Certificate Transparency's own tests: entries, and the root of the first n of them.
ENTRIES = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

SIZES = st.integers(0, 200)


def entry(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def mth(entries: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def grown(*sizes: int) -> Tree:
    tree, at = Tree(), 0
    for size in sizes:
        tree.extend(b"".join(entry(number) for number in range(at, at + size)))
        at += size
    return tree


@pytest.mark.parametrize("count", range(1, 9))
def test_the_vectors_of_certificate_transparency_hold(count: int) -> None:
    entries = [bytes.fromhex(text) for text in ENTRIES[:count]]
    assert mth(entries).hex() == ROOTS[count - 1]


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert Tree().root == mth([])


@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_tree_that_grew_in_steps_has_the_root_of_one_built_at_once(steps: list[int]) -> None:
    tree = grown(*steps)
    assert tree.size == sum(steps)
    assert tree.fits()
    assert tree.root == mth([entry(number) for number in range(sum(steps))])


@pytest.mark.parametrize("size", [1_023, 1_024, 1_025, 3_000, 5_121])
def test_whole_blocks_give_the_same_root(size: int) -> None:
    tree = grown(size)
    assert tree.fits()
    assert tree.root == mth([entry(number) for number in range(size)])
    assert grown(7, size - 7).root == tree.root


@given(SIZES, st.integers(1, 60), st.data())
def test_a_path_leads_from_an_entry_to_the_root_and_no_other_entry_has_it(
    before: int, more: int, data: st.DataObject
) -> None:
    size = before + more
    index = data.draw(st.integers(before, size - 1))
    path = inclusion_path(grown(before), [entry(number) for number in range(before, size)], index)
    root = mth([entry(number) for number in range(size)])
    assert root_from_path(entry(index), index, size, path) == root
    assert root_from_path(entry(index + 1), index, size, path) != root


@given(st.integers(2, 60), st.data())
def test_a_path_of_the_wrong_length_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(Tree(), [entry(number) for number in range(size)], index)
    for wrong in (path[:-1], [*path, path[-1]]):
        with pytest.raises(ValueError, match="path"):
            root_from_path(entry(index), index, size, wrong)
    with pytest.raises(ValueError, match="not in a tree"):
        root_from_path(entry(index), size, size, path)


def test_leaves_and_nodes_are_hashed_apart() -> None:
    left, right = entry(1), entry(2)
    assert leaf_hash(left + right) != node_hash(left, right)


def test_peaks_that_do_not_belong_to_the_size_are_seen() -> None:
    tree = grown(6)
    assert not Tree(7, tree.peaks).fits()
    assert not Tree(6, [*tree.peaks[:1], b"short"]).fits()
