"""Every projection: its table, its key, the columns the events tell, and the query that tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ledger.folding.telling import Fields


@dataclass(frozen=True, slots=True)
class Projection:
    """A table of which events tell the rows."""

    table: str
    label: str
    """What a row is called where one is reported."""
    key: tuple[str, ...]
    """Columns that name a row within the brand."""
    columns: tuple[str, ...]
    """The other columns that the events tell."""
    told: Callable[[Fields], str]
    """SQL: the rows as told, with `told_stream` and `told_version`, the newest event that counted; $1 is the brand."""
    stream: str
    """SQL: the stream of the kept row `k`."""
    as_text: frozenset[str] = frozenset()
    """jsonb columns: compared as text, for to jsonb 2 and 2.0 are equal."""
    untold: frozenset[str] = frozenset()
    """Columns that events of an old version did not tell; what is kept is taken for them."""
    unfounded: str = "false"
    """SQL: that the kept row `k` stands without events, rightly."""
    filled: Mapping[str, str] = field(default_factory=dict)
    """SQL over the told row `t`: what columns are filled with that events do not tell, where a row is put back."""
    in_part: bool = False
    """The row holds what no event tells (a name, a secret, a mark of progress), so it is changed back in what they do
    tell, and neither put back nor taken away."""
    renewed: bool = False
    """Put back as a whole instead of changed in place: another unique key stands in the way of an update."""
