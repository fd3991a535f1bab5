"""What a message says, rendered at sending: Chinese first, English beside it (`wording.yaml`).

Of a nudge's content only the date, the slot and a count go out. A shared endpoint is told whose list it is; a
guide's own is not told her name. No two messages of a kind read the same: code, date and slot are in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

WORDING = Path(__file__).parent / "wording.yaml"


@dataclass(frozen=True, slots=True)
class Text:
    """A message in words; channels without a title leave it out."""

    title: str
    body: str


MOST_NAMED = 20
"""Guides a message names; robots cut longer texts."""


def nudge_text(
    language: str,
    *,
    code: str,
    name: str,
    day: date,
    slot: str,
    open_items: int,
    shared: bool,
    urged: bool = False,
) -> Text:
    """The reminder that items are open. `name` may be empty; it is used only where the endpoint is `shared`."""
    wording = _wording()[language]["urge" if urged else "nudge"]
    gaps = {"date": day.isoformat(), "slot": slot, "code": code, "name": name or code, "items": open_items}
    return Text(
        title=wording["title"].format_map(gaps),
        body=wording["shared" if shared else "own"].format_map(gaps),
    )


def escalation_text(
    language: str, *, level: str, place: str, day: date, slot: str, guides: tuple[str, ...]
) -> Text:
    """What is still open, told to whoever answers for a store, a region or the brand. Guides as `code count`."""
    wording = _wording()[language]["escalation"]
    named = wording["between"].join(guides[:MOST_NAMED])
    more = wording["more"].format(count=len(guides) - MOST_NAMED) if len(guides) > MOST_NAMED else ""
    gaps = {
        "date": day.isoformat(),
        "slot": slot,
        "place": wording[level].format(place=place),
        "guides": len(guides),
        "named": named + more,
    }
    return Text(title=wording["title"].format_map(gaps), body=wording["body"].format_map(gaps))


def day_summary_text(language: str, figures: Mapping[str, object]) -> Text:
    """How a store's day closed: its code, the date and counts of items, as `ledger.claims.DaySummary` names them."""
    wording = _wording()[language]["day_summary"]
    return Text(title=wording["title"].format_map(figures), body=wording["body"].format_map(figures))


def seal_text(language: str, *, position: str, anchor: str) -> Text:
    """A seal on its way out of the house: the line that `daogou audit verify --against` reads, and what to do with it."""
    wording = _wording()[language]["seal"]
    gaps = {"position": position, "anchor": anchor}
    return Text(title=wording["title"].format_map(gaps), body=wording["body"].format_map(gaps))


@cache
def _wording() -> Mapping[str, Any]:
    read: Mapping[str, Any] = yaml.safe_load(WORDING.read_text(encoding="utf-8"))
    return read
