"""Which kinds of records a source may tell: what is usual for a system like it, or what whoever registers it says."""

from __future__ import annotations

from collections.abc import Iterable

from domain.confirmation import KINDS
from domain.errors import Problem, Refused

PURPOSES = {
    "pbx": ("calls",),
    "wecom": ("friends",),
    "till": ("redemptions", "visits", "purchases", "returns"),
    "voucher": ("redemptions",),
}
"""By the first word of a source's name, as `pbx-2` is a `pbx` (ours)."""


def kinds_of_source(source: str, told: Iterable[str] = ()) -> tuple[str, ...]:
    """The kinds that are told, in the order of `KINDS`; where none is, what is usual for a system of this name.

    Raises:
        Refused: one of them is none, or none is told and the name says no purpose.
    """
    named = tuple(told)
    unknown = [one for one in named if one not in KINDS]
    if unknown:
        raise Refused(
            [Problem("kinds", one[:80], "unknown_feed_kind", {"known": ", ".join(KINDS)}) for one in unknown]
        )
    usual = named or PURPOSES.get(source.partition("-")[0], ())
    if not usual:
        raise Refused(
            [Problem("kinds", "", "feed_kinds_not_said", {"source": source, "known": ", ".join(KINDS)})]
        )
    return tuple(kind for kind in KINDS if kind in usual)
