"""An append-only Merkle tree, hashed as RFC 9162 (and RFC 6962) says: what a seal commits to.

A leaf is SHA-256(0x00 ‖ entry), a node SHA-256(0x01 ‖ left ‖ right). A tree of any size is held by its *peaks*, the roots
of the perfect subtrees that its size in binary names, largest first: with them it grows and tells its root without any
leaf before. Entries are the events' hashes in the order of their positions; position P is entry P - 1.

No library was taken: pymerkle is GPL, and the others of the index that follow the RFC keep the whole tree in memory or
in a store of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
_BLOCK = 1_024
"""Leaves hashed level by level in one go; a power of two."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Tree:
    """A tree that grows at its right end; costs two hashes an entry."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    @property
    def root(self) -> bytes:
        """The root, as if the tree were complete at this size."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def fits(self) -> bool:
        """Whether there are as many peaks, of 32 bytes each, as a tree of this size has."""
        return self.size.bit_count() == len(self.peaks) and all(
            len(peak) == HASH_BYTES for peak in self.peaks
        )

    def extend(self, entries: bytes | bytearray | memoryview) -> None:
        """Append entries of 32 bytes each, one after another."""
        left = memoryview(entries)
        while left:
            count = min(len(left) // HASH_BYTES, _BLOCK, self.size & -self.size or _BLOCK)
            count = 1 << (count.bit_length() - 1)
            self._push(_perfect(left[: count * HASH_BYTES]), count)
            left = left[count * HASH_BYTES :]

    def copy(self) -> Tree:
        """The same tree, to grow apart."""
        return Tree(self.size, list(self.peaks))

    def _push(self, root: bytes, count: int) -> None:
        """Append a perfect subtree of `count` leaves; the size is a multiple of it."""
        size = self.size
        while size & count:
            root = node_hash(self.peaks.pop(), root)
            size -= count
            count *= 2
        self.size = size + count
        self.peaks.append(root)


def _perfect(entries: memoryview) -> bytes:
    """The root over a power of two of entries. Written out level by level: calls would cost as much as the hashes."""
    sha = hashlib.sha256
    level = [sha(b"\x00" + entries[at : at + 32]).digest() for at in range(0, len(entries), 32)]
    while len(level) > 1:
        pairs = iter(level)
        level = [sha(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return level[0]


def inclusion_path(before: Tree, entries: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of an entry in the tree of `before` grown by `entries`, from the leaf upwards.

    Args:
        before: the tree of an earlier seal.
        entries: what was appended to it.
        index: of the entry; not before `before`'s size.
    """
    size = before.size + len(entries)
    peaks: dict[tuple[int, int], bytes] = {}
    start = 0
    for peak in before.peaks:
        width = 1 << ((before.size - start).bit_length() - 1)
        peaks[start, width] = peak
        start += width

    def root_of(start: int, end: int) -> bytes:
        width = end - start
        if (start, width) in peaks:
            return peaks[start, width]
        if width == 1:
            return leaf_hash(entries[start - before.size])
        middle = start + _split(width)
        return node_hash(root_of(start, middle), root_of(middle, end))

    return _path(root_of, index, 0, size)


def _path(root_of: Callable[[int, int], bytes], index: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(root_of, index, start, middle), root_of(middle, end)]
    return [*_path(root_of, index, middle, end), root_of(start, middle)]


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def root_from_path(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an entry and its path lead to (RFC 9162, 2.1.3.2).

    Raises:
        ValueError: the path has not the length of one in a tree of this size.
    """
    if not 0 <= index < size:
        raise ValueError(f"index {index} is not in a tree of {size}")
    root, last = leaf_hash(entry), size - 1
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    if last != 0:
        raise ValueError("the path is too short")
    return root
