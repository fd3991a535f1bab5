"""Calendars, as their events tell: the latest of each stream, whole."""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields


def _layer(_: Fields) -> str:
    return """
SELECT DISTINCT ON (stream) stream AS told_stream, version AS told_version, payload->>'scope' AS scope,
       payload->>'subject' AS subject, payload->'facts' AS facts, version, known_at AS decided_at
FROM told_other WHERE type = 'calendar_set' ORDER BY stream, version DESC"""


CALENDAR = Projection(
    table="calendar_layer",
    label="calendar",
    key=("scope", "subject"),
    columns=("facts", "version", "decided_at"),
    told=_layer,
    stream="'calendar/' || k.scope || '/' || k.subject",
    as_text=frozenset({"facts"}),
)
