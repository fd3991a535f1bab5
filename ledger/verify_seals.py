"""The events' hashes against the seals in the database and the anchors outside it.

The tree is grown anew from the events, and at every position that was sealed or anchored its root is compared. A seal that
differs is named once: what follows is judged from what that seal says, so that each difference names the positions it is
among. Anchors are compared with the events themselves, whatever the table of seals says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger.anchors import Anchor
from ledger.door import Driver
from ledger.findings import Findings
from ledger.merkle import HASH_BYTES, Tree
from ledger.seals import Seal, seal_hash
from ledger.verify_events import Window

SEAL = "seal"
"""What differences of seals name as their stream; the version is the position."""


@dataclass(slots=True)
class Sealing:
    """What the seals are held against, as it grows window by window."""

    tenant_id: int
    findings: Findings
    tree: Tree
    """What the events give, as far as the window before."""
    seals: deque[Seal]
    anchors: deque[Anchor]
    """Both by position, those that are still to come."""
    before: Seal | None = None
    """The seal before: what the next one follows from."""
    agreed: Anchor | None = None
    """The highest anchor that the events agree with."""
    _told: Tree | None = None
    """What the last seal says, grown on, where that is not what the events give."""
    _agreed_at: dict[str, int] = field(default_factory=dict)
    _disagreed: set[str] = field(default_factory=set)
    """Where anchors were kept that the events have left; every later one of theirs differs too."""

    def compare(self, window: Window) -> None:
        """Grow the tree by a window and compare wherever there is a seal or an anchor in it."""
        at = window.after
        while (stop := self._next_stop(window.up_to)) is not None:
            self._grow(window, at, stop)
            at = stop
            sealed = self.seals.popleft() if self.seals and self.seals[0].position == stop else None
            while self.anchors and self.anchors[0].position == stop:
                self._compare_anchor(self.anchors.popleft(), sealed)
            if sealed is not None:
                self._compare_seal(sealed)
        self._grow(window, at, window.up_to)

    def end(self) -> None:
        """What is sealed or anchored beyond the last position: the tail was cut."""
        for seal in self.seals:
            self._compare_chain(seal)
            self.findings.add(SEAL, seal.position, "events up to the sealed position are missing")
        for anchor in self.anchors:
            self._disagree(anchor, "events up to the anchored position are missing")

    def _grow(self, window: Window, after: int, up_to: int) -> None:
        first = window.after
        entries = memoryview(window.entries)[(after - first) * HASH_BYTES : (up_to - first) * HASH_BYTES]
        self.tree.extend(entries)
        if self._told is not None:
            self._told.extend(entries)

    def _next_stop(self, up_to: int) -> int | None:
        stops = [queue[0].position for queue in (self.seals, self.anchors) if queue]
        return min((stop for stop in stops if stop <= up_to), default=None)

    def _compare_anchor(self, anchor: Anchor, sealed: Seal | None) -> None:
        if anchor.root != self.tree.root:
            first = self._agreed_at.get(anchor.where, 0) + 1
            self._disagree(
                anchor, f"an event at the positions {first} to {anchor.position} is not the one anchored"
            )
        elif sealed is None:
            self._disagree(anchor, "the anchored seal is missing")
        elif anchor.seal_hash != sealed.seal_hash:
            self._disagree(anchor, "the seal is not the one that was anchored")
        else:
            self.agreed = anchor
            self._agreed_at[anchor.where] = anchor.position

    def _disagree(self, anchor: Anchor, kind: str) -> None:
        if anchor.where not in self._disagreed:
            self._disagreed.add(anchor.where)
            self.findings.add(SEAL, anchor.position, f"{kind}: {anchor.where}")

    def _compare_seal(self, seal: Seal) -> None:
        first = (self.before.position if self.before else 0) + 1
        self._compare_chain(seal)
        if not seal.holds_itself():
            self.findings.add(SEAL, seal.position, "the seal's peaks do not lead to its root")
        elif seal.root == self.tree.root:
            self._told = None
        elif self._told is None or seal.root != self._told.root:
            kind = f"an event at the positions {first} to {seal.position} is not the one sealed"
            self.findings.add(SEAL, seal.position, kind)
            self._told = seal.tree

    def _compare_chain(self, seal: Seal) -> None:
        before = self.before.seal_hash if self.before else b""
        if seal_hash(before, self.tenant_id, seal.position, seal.root, seal.sealed_at) != seal.seal_hash:
            self.findings.add(SEAL, seal.position, "the seal does not follow from the one before")
        self.before = seal


async def read_seals(connection: Driver, tenant_id: int, *, after: int) -> deque[Seal]:
    """The seals after a position, in order: some 100,000 a year, 300 bytes each."""
    rows = await connection.fetch(
        "SELECT position, root, peaks, seal_hash, sealed_at FROM daogou.seal"
        " WHERE tenant_id = $1 AND position > $2 ORDER BY position",
        tenant_id,
        after,
    )
    return deque(Seal(**row) for row in rows)


def after(anchors: Iterable[Anchor], position: int) -> deque[Anchor]:
    """The anchors after a position, in order."""
    return deque(sorted((one for one in anchors if one.position > position), key=lambda one: one.position))


def authenticate(findings: Findings, start: Seal, anchors: Sequence[Anchor]) -> Anchor | None:
    """Whether a seal may be begun from: it holds itself, and every anchor of its position says the same; one of them."""
    if not start.holds_itself():
        findings.add(SEAL, start.position, "the seal's peaks do not lead to its root")
    agreed = None
    for anchor in anchors:
        if anchor.position != start.position:
            continue
        if (anchor.root, anchor.seal_hash) == (start.root, start.seal_hash):
            agreed = anchor
        else:
            findings.add(SEAL, start.position, f"the seal is not the one that was anchored: {anchor.where}")
    return agreed
