"""Complaints, as the events of their cases tell them."""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields

_ENDS = "'case_closed', 'case_withdrawn'"


def _complaint_case(fields: Fields) -> str:
    opened, stands = Fields(fields.careful, "o.payload"), Fields(fields.careful, "m.payload")
    return f"""
SELECT o.stream AS told_stream, greatest(o.version, m.version, a.version, e.version) AS told_version,
       {opened.of("case", "uuid")} AS case_id, {opened.of("member", "uuid")} AS member_id,
       {opened.of("task", "uuid")} AS task_id, {stands.of("report", "integer")} AS report, o.payload->>'plan' AS plan_id,
       {stands.of("guide", "uuid")} AS guide_id,
       {stands.of("business_date", "date")} AS business_date, m.occurred_at AS opened_at,
       {opened.of("deadline_at", "timestamptz")} AS deadline_at,
       CASE e.type WHEN 'case_closed' THEN 'closed' WHEN 'case_withdrawn' THEN 'withdrawn'
            ELSE CASE WHEN a.stream IS NULL THEN 'open' ELSE 'answered' END END AS state,
       a.occurred_at AS answered_at, e.occurred_at AS ended_at, e.payload->>'resolution' AS resolution
FROM told_other o
-- What the case rests on now: its opening, or the newest correction since.
JOIN (
    SELECT DISTINCT ON (stream) stream, version, occurred_at, payload FROM told_other
    WHERE type IN ('case_opened', 'case_moved') ORDER BY stream, version DESC
) m ON m.stream = o.stream
LEFT JOIN told_other a ON a.stream = o.stream AND a.type = 'case_answered'
LEFT JOIN told_other e ON e.stream = o.stream AND e.type IN ({_ENDS})
WHERE o.type = 'case_opened'"""


CASE = Projection(
    table="complaint_case",
    label="complaint",
    key=("case_id",),
    columns=(
        "member_id", "task_id", "report", "plan_id", "guide_id", "business_date", "opened_at", "deadline_at",
        "state", "answered_at", "ended_at", "resolution",
    ),
    told=_complaint_case,
    stream="'case/' || k.case_id",
)  # fmt: skip
