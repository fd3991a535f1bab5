"""Up to when the data is complete: a line under every figure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.text import Text

from wording.catalogue import Catalogue


def complete_line(words: Catalogue, until: Mapping[str, datetime | None], zone: str = "UTC") -> Text:
    """Each kind of data and up to when its sources have told everything; the kinds nobody tells of, last."""
    told = [
        words(
            "complete.kind", kind=words.code("data", kind), at=f"{at.astimezone(ZoneInfo(zone)):%m-%d %H:%M}"
        )
        for kind, at in until.items()
        if at is not None
    ]
    untold = [words.code("data", kind) for kind, at in until.items() if at is None]
    if not told:
        return Text(words("complete.nothing"), style="dim")
    line = words("complete.until", zone=zone, kinds=" · ".join(told))
    if untold:
        line += " " + words(
            "complete.untold", kinds="、".join(untold) if words.language == "zh" else ", ".join(untold)
        )
    return Text(line, style="dim")
