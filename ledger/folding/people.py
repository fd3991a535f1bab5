"""Imports, the switch of the messages, roles, consents and staff, as far as their events tell.

Names, logins, secrets and reasons are in no event: a row that holds them is compared in what events do tell, and
changed back there, but not put back.
"""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields


def _told(fields: Fields) -> Fields:
    return Fields(fields.careful, "payload")


def _import_batch(fields: Fields) -> str:
    of = _told(fields).of
    return f"""
SELECT stream AS told_stream, version AS told_version, {of("batch", "integer")} AS batch_id, payload->>'kind' AS kind,
       payload->>'root' AS root, {of("rows_read", "integer")} AS rows_read, {of("rows_new", "integer")} AS rows_new,
       {of("rows_bad", "integer")} AS rows_bad, known_at
FROM told_other WHERE type = 'imported'"""


def _message_stop(_: Fields) -> str:
    return """
SELECT * FROM (
    SELECT stream AS told_stream, version AS told_version, $1::integer AS tenant_id,
           type = 'messages_stopped' AS stopped, payload->>'reason' AS reason, occurred_at AS changed_at, version
    FROM told_other WHERE type IN ('messages_stopped', 'messages_resumed') ORDER BY version DESC LIMIT 1
) o"""


def _day_norm(fields: Fields) -> str:
    told = Fields(fields.careful, "o.payload")
    return f"""
SELECT * FROM (
    SELECT o.stream AS told_stream, o.version AS told_version, $1::integer AS tenant_id,
           {told.of("calls", "integer")} AS calls, {told.of("invitations", "integer")} AS invitations,
           {told.of("invitations_a_visit", "integer")} AS invitations_a_visit, o.occurred_at AS changed_at, o.version
    FROM told_other o WHERE o.type = 'day_norm_set' ORDER BY o.version DESC LIMIT 1
) o"""


def _contact_limit(fields: Fields) -> str:
    of = _told(fields).of
    return f"""
SELECT stream AS told_stream, version AS told_version, version, {of("from_on", "date")} AS from_on,
       {of("day", "smallint")} AS day, {of("week", "smallint")} AS week, {of("month", "smallint")} AS month,
       known_at AS decided_at
FROM told_other WHERE type = 'contact_limits_set'"""


def _role_grant(fields: Fields) -> str:
    given, ended = Fields(fields.careful, "g.payload"), Fields(fields.careful, "e.payload")
    account = fields.cast("g.name", "uuid")
    return f"""
SELECT g.stream AS told_stream, coalesce(e.version, g.version) AS told_version, {given.of("grant", "uuid")} AS grant_id,
       {account} AS account_id, g.payload->>'role' AS role, g.payload->>'place' AS place,
       {given.of("starts_at", "timestamptz")} AS starts_at,
       CASE WHEN e.stream IS NULL THEN {given.of("ends_at", "timestamptz")}
            ELSE {ended.of("ends_at", "timestamptz")} END AS ends_at
FROM told_other g LEFT JOIN (
    SELECT DISTINCT ON (payload->>'grant') stream, version, payload FROM told_other WHERE type = 'role_ended'
    ORDER BY payload->>'grant', version DESC
) e ON e.stream = g.stream AND e.payload->>'grant' = g.payload->>'grant'
WHERE g.type = 'role_granted'"""


def _account(fields: Fields) -> str:
    told = Fields(fields.careful, "a.payload")
    active = Fields(fields.careful, "c.payload").of("active", "boolean")
    return f"""
SELECT a.stream AS told_stream, coalesce(c.version, a.version) AS told_version, {told.of("account", "uuid")} AS account_id,
       {told.of("guide", "uuid")} AS guide_id, coalesce({active}, true) AS active, a.known_at AS created_at
FROM told_other a LEFT JOIN (
    SELECT DISTINCT ON (stream) stream, version, payload FROM told_other WHERE type = 'account_changed'
    ORDER BY stream, version DESC
) c ON c.stream = a.stream
WHERE a.type = 'account_created'"""


def _consent(fields: Fields) -> str:
    member = _told(fields).of("member", "uuid")
    return f"""
SELECT stream AS told_stream, version AS told_version, {member} AS member_id, payload->>'purpose' AS purpose,
       occurred_at, known_at, version, type = 'consent_given' AS given, payload->>'source' AS source
FROM told_other WHERE type IN ('consent_given', 'consent_withdrawn')"""


def _opt_out(fields: Fields) -> str:
    # An opt-out of a file is a fact of the import, kept as consent of version 0; its event commits to the batch.
    # What a consent lifted counts no more, and what was heard after the erasure is of nobody.
    return f"""
WITH erased AS (
    SELECT {_told(fields).of("member", "uuid")} AS member_id, min(known_at) AS erased_at, max(version) AS version
    FROM told_other WHERE type = 'member_erased' GROUP BY 1
), said AS (
    SELECT s.* FROM (
        SELECT member_id, given, occurred_at, known_at, version FROM ({_consent(fields)}) c WHERE purpose = 'contact'
        UNION ALL
        SELECT member_id, given, occurred_at, known_at, version FROM daogou.consent
        WHERE tenant_id = $1 AND purpose = 'contact' AND version = 0 AND {fields.facts}
    ) s LEFT JOIN erased e USING (member_id) WHERE e.member_id IS NULL OR s.known_at <= e.erased_at
), lifted AS (
    SELECT DISTINCT ON (member_id) member_id, occurred_at, known_at, version FROM said WHERE given
    ORDER BY member_id, occurred_at DESC, known_at DESC, version DESC
), out AS (
    SELECT s.member_id, min(s.occurred_at) AS since, max(s.version) AS version
    FROM said s LEFT JOIN lifted l USING (member_id)
    WHERE NOT s.given AND (l.member_id IS NULL
          OR (l.occurred_at, l.known_at, l.version) <= (s.occurred_at, s.known_at, s.version))
    GROUP BY 1
)
SELECT 'member/' || m.member_id AS told_stream, coalesce(greatest(o.version, e.version), 0) AS told_version, m.member_id,
       least(o.since, e.erased_at) AS opted_out_at, e.erased_at
FROM daogou.member m LEFT JOIN out o USING (member_id) LEFT JOIN erased e USING (member_id) WHERE m.tenant_id = $1"""


def _erasure(fields: Fields) -> str:
    return f"""
SELECT DISTINCT ON (stream) stream AS told_stream, version AS told_version,
       {_told(fields).of("member", "uuid")} AS member_id, known_at AS erased_at, actor
FROM told_other WHERE type = 'member_erased' ORDER BY stream, version"""


def _posting(fields: Fields) -> str:
    of = _told(fields).of
    return f"""
SELECT stream AS told_stream, version AS told_version, {of("guide", "uuid")} AS guide_id, version,
       CASE type WHEN 'guide_left' THEN NULL ELSE {of("store", "uuid")} END AS store_id,
       CASE type WHEN 'guide_left' THEN {of("last_on", "date")} + 1 ELSE {of("from_on", "date")} END AS from_on,
       {of("replacement", "uuid")} AS replacement_id, known_at AS decided_at
FROM told_other WHERE type IN ('guide_hired', 'guide_transferred', 'guide_left')"""


def _closing(fields: Fields) -> str:
    of = _told(fields).of
    return f"""
SELECT DISTINCT ON (stream) stream AS told_stream, version AS told_version, {of("store", "uuid")} AS store_id,
       {of("last_on", "date")} AS last_on, {of("to", "uuid")} AS to_store_id, known_at AS decided_at
FROM told_other WHERE type = 'store_closed' ORDER BY stream, version DESC"""


IMPORT_BATCH = Projection(
    table="import_batch",
    label="import batch",
    key=("batch_id",),
    columns=("kind", "root", "rows_read", "rows_new", "rows_bad", "known_at"),
    told=_import_batch,
    stream="'import/' || k.kind",
    renewed=True,
)
MESSAGE_STOP = Projection(
    table="message_stop",
    label="switch of the messages",
    key=("tenant_id",),
    columns=("stopped", "reason", "changed_at", "version"),
    told=_message_stop,
    stream="'messages'",
    unfounded="k.version = 0 AND NOT k.stopped",
)
DAY_NORM = Projection(
    table="day_norm",
    label="norm of the day",
    key=("tenant_id",),
    columns=("calls", "invitations", "invitations_a_visit", "changed_at", "version"),
    told=_day_norm,
    stream="'day-norm'",
)
CONTACT_LIMIT = Projection(
    table="contact_limit",
    label="limits of contact",
    key=("version",),
    columns=("from_on", "day", "week", "month", "decided_at"),
    told=_contact_limit,
    stream="'contact-limits'",
)
ROLE_GRANT = Projection(
    table="role_grant",
    label="role",
    key=("grant_id",),
    columns=("account_id", "role", "place", "starts_at", "ends_at"),
    told=_role_grant,
    stream="'account/' || k.account_id",
)
ACCOUNT = Projection(
    table="account",
    label="account",
    key=("account_id",),
    columns=("guide_id", "active", "created_at"),
    told=_account,
    stream="'account/' || k.account_id",
    in_part=True,
)
CONSENT = Projection(
    table="consent",
    label="consent",
    key=("member_id", "purpose", "occurred_at", "known_at", "version"),
    columns=("given", "source"),
    told=_consent,
    stream="'member/' || k.member_id",
    unfounded="k.version = 0",
)
OPT_OUT = Projection(
    table="member",
    label="member",
    key=("member_id",),
    columns=("opted_out_at", "erased_at"),
    told=_opt_out,
    stream="'member/' || k.member_id",
    in_part=True,
)
ERASURE = Projection(
    table="erasure",
    label="erasure",
    key=("member_id",),
    columns=("erased_at", "actor"),
    told=_erasure,
    stream="'member/' || k.member_id",
    filled={"reason": "''"},
)
POSTING = Projection(
    table="guide_posting",
    label="posting",
    key=("guide_id", "version"),
    columns=("store_id", "from_on", "replacement_id", "decided_at"),
    told=_posting,
    stream="'guide/' || k.guide_id",
    in_part=True,
)
CLOSING = Projection(
    table="store_closing",
    label="closing of a store",
    key=("store_id",),
    columns=("last_on", "to_store_id", "decided_at"),
    told=_closing,
    stream="'store/' || k.store_id",
    in_part=True,
)
