"""Old payloads in their newest shape, in SQL: bytes and hashes are never touched.

Fields that were added with a default need nothing: a key that is not there reads as null, and the default of every
field that a projection rests on is written where it is read. Here stand the versions whose payload says less than the
projection holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain import complaint_events, correcting_events, events, picture_events

NEWEST: Mapping[str, int] = {
    kind.type: kind.schema_version
    for module in (events, correcting_events, complaint_events, picture_events)
    for kind in vars(module).values()
    if hasattr(kind, "schema_version") and hasattr(kind, "type")
}
"""Newest schema version by type."""

OLD: Mapping[tuple[str, int], str] = {
    # Did not say whose clocks the day went by, nor when it began and ends: what is kept is taken for it.
    ("list_published", 1): """'{"time_zone": null, "opens_at": null, "closes_at": null}'""",
    # Where the list was never published, did not say what was on it (null; [] says that it was published).
    ("day_closed", 1): """'{"tasks": null, "time_zone": null, "opens_at": null, "closes_at": null}'""",
    # Did not say what the member brings along: `items` counts it again from the check-ins before.
    (
        "member_assigned",
        1,
    ): """'{"grade": null, "dial_days": 0, "last_dial_on": null, "last_reached_at": null}'""",
}
"""By type and version: what is laid over the payload to get the next version's."""


def newest(*types: str) -> str:
    """SQL: the payload of event `e`, which is of one of these types, in its newest shape."""
    steps = [
        f"WHEN e.type = '{kind}' AND e.schema_version = {version} THEN e.payload || {added}::jsonb"
        for (kind, version), added in OLD.items()
        if kind in types
    ]
    return f"CASE {' '.join(steps)} ELSE e.payload END" if steps else "e.payload"
