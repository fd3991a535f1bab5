"""Check-ins out of the ordinary, for whoever supervises: late, corrected, voided, in conflict, from a phone with a wrong clock.

Cost: two round trips, and one to the key store where reasons are read; found by an index that holds nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.notes import read_notes

Kind = Literal["late", "corrected", "voided", "conflict", "skewed"]


@dataclass(frozen=True, slots=True)
class CheckInException:
    """A check-in out of the ordinary. What was voided is told as it stood; `known_at` and `actor` are the void's."""

    day: date
    store: str
    guide: str
    task_id: UUID
    version: int
    occurred_at: datetime
    known_at: datetime
    actor: str
    outcome: str
    grade: str | None
    late: bool
    conflict: str | None
    skew_s: int
    corrects: int | None
    """Version of the check-in that it took the place of."""
    outcome_before: str | None
    """Of that one."""
    voided: bool
    reason: str | None
    """Why it was entered after the grace, corrected or voided, where it can be read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them: business dates from `first` to `last`, store and guide by code, one kind; None: all."""

    first: date
    last: date | None = None
    store: str | None = None
    guide: str | None = None
    kind: Kind | None = None


LISTED_DAYS = 30
"""Who names no first day is shown so many days back: a list does not grow with the years (ours)."""


def first_day(first: date | None, last: date | None, today: date) -> date:
    """The first business date to list: as told, or `LISTED_DAYS` before the last one told, or before today."""
    if first is not None:
        return first
    return max(last or today, date.min + timedelta(LISTED_DAYS)) - timedelta(LISTED_DAYS)


Place = tuple[datetime, str, int]
"""Where a page ended: known_at, item and version of its last row."""


async def list_exceptions(
    connection: Driver,
    ledger: Ledger,
    wanted: Wanted,
    *,
    after: Place | None = None,
    limit: int,
) -> Sequence[CheckInException]:
    """Those in reach, the last known first."""
    rows = await connection.fetch(
        """
        WITH found AS (
            SELECT k.task_id, k.version, k.business_date, k.guide_id, k.member_id, k.occurred_at, k.known_at, k.actor,
                   k.outcome, k.grade, k.late, k.conflict, k.skew_s, k.corrects, false AS voided, k.why_id
            FROM check_in k
            WHERE k.tenant_id = $1 AND k.business_date BETWEEN $2 AND $3
              AND (k.late OR k.conflict IS NOT NULL OR k.corrects IS NOT NULL OR k.skew_s <> 0)
            UNION ALL
            SELECT v.task_id, v.version, v.business_date, v.guide_id, v.member_id, v.occurred_at, v.superseded_at,
                   v.voided_by, v.outcome, v.grade, v.late, v.conflict, v.skew_s, v.corrects, true, v.voided_why_id
            FROM check_in_superseded v
            WHERE v.tenant_id = $1 AND v.business_date BETWEEN $2 AND $3 AND v.voided
        )
        SELECT f.business_date AS day, s.code AS store, g.code AS guide, f.task_id, f.version, f.occurred_at, f.known_at,
               f.actor, f.outcome, f.grade, f.late, f.conflict, f.skew_s, f.corrects, b.outcome AS outcome_before,
               f.voided, f.why_id, f.member_id
        FROM found f
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = f.guide_id
        JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        LEFT JOIN check_in_superseded b ON b.tenant_id = $1 AND b.task_id = f.task_id AND b.version = f.corrects
        WHERE ($4::text IS NULL OR s.code = $4) AND ($5::text IS NULL OR g.code = $5)
          AND CASE $6::text WHEN 'late' THEN f.late WHEN 'corrected' THEN f.corrects IS NOT NULL
              WHEN 'voided' THEN f.voided WHEN 'conflict' THEN f.conflict IS NOT NULL WHEN 'skewed' THEN f.skew_s <> 0
              ELSE true END
          AND ($7::timestamptz IS NULL OR (f.known_at, f.task_id, f.version) < ($7, $8::uuid, $9::int))
        ORDER BY f.known_at DESC, f.task_id DESC, f.version DESC LIMIT $10""",
        ledger.tenant_id,
        wanted.first,
        wanted.last or date.max,
        wanted.store,
        wanted.guide,
        wanted.kind,
        *((after[0], UUID(after[1]), after[2]) if after else (None, None, None)),
        limit,
    )
    reasons = await read_notes(
        connection, ledger, {row["why_id"]: row["member_id"] for row in rows if row["why_id"] is not None}
    )
    told = []
    for row in rows:
        one = dict(row)
        why = one.pop("why_id")
        del one["member_id"]
        told.append(CheckInException(**one, reason=reasons.get(why)))
    return told
