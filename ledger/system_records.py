"""What systems of record say: rows are added, and of one key the highest revision holds, in whatever order they come.

The same revision said twice is one row; said with another content it is refused, for nothing tells which one is right.
Who is meant is compared as the source sent it (`ledger.naming`): a number may have changed hands in between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from ledger.door import Driver
from ledger.member_keys import NO_KEYS, MemberKeys
from ledger.naming import Standing, digests_of_numbers, keys_of, names_the_same

CONTENT = (
    "voided",
    "guide_id",
    "member_id",
    "also",
    "store_id",
    "occurred_at",
    "ended_at",
    "seconds",
    "answered",
    "code",
    "value_minor",
)
"""What a record says, besides its name."""
NAME = ("source", "kind", "key", "revision")
_RESOLVED = ("member_id", "also")
"""What we made of whom the source named; not its own words."""
_SAID = tuple(column for column in CONTENT if column not in _RESOLVED)


@dataclass(frozen=True, slots=True)
class SystemRecord:
    """One thing a system of record says; see `system_record` in the schema for the columns."""

    kind: str
    key: str
    revision: int
    member_id: UUID
    occurred_at: datetime
    voided: bool = False
    guide_id: UUID | None = None
    also: tuple[UUID, ...] = ()
    store_id: UUID | None = None
    ended_at: datetime | None = None
    seconds: int | None = None
    answered: bool | None = None
    code: bytes | None = None
    value_minor: int | None = None
    number: str | None = field(default=None, repr=False)
    """Digits of the number that named the member; None: a code did. Never stored."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of records: indexes of those that are new, and of those that contradict what stands there."""

    new: tuple[int, ...]
    differing: tuple[int, ...]


# One statement a message: what is there already is left, and told apart by a second one.
_ADD = f"""
INSERT INTO system_record (tenant_id, {", ".join((*NAME, *CONTENT))}, named, known_at, batch_id, message)
SELECT $1, $2, kind, key, revision, voided, guide_id, member_id, ARRAY(SELECT unnest(string_to_array(also, ','))::uuid),
       store_id, occurred_at, ended_at, seconds, answered, code, value_minor, named, $3, NULL, $4
FROM unnest($5::text[], $6::text[], $7::bigint[], $8::boolean[], $9::uuid[], $10::uuid[], $11::text[], $12::uuid[],
            $13::timestamptz[], $14::timestamptz[], $15::int[], $16::boolean[], $17::bytea[], $18::bigint[], $19::bytea[])
    AS s(kind, key, revision, voided, guide_id, member_id, also, store_id, occurred_at, ended_at, seconds, answered,
         code, value_minor, named)
ORDER BY kind, key, revision
ON CONFLICT DO NOTHING
RETURNING kind, key, revision"""

_STANDING = f"""
SELECT {", ".join(("kind", "key", "revision", *CONTENT, "named"))} FROM system_record r
WHERE tenant_id = $1 AND source = $2
  AND (kind, key, revision) IN (SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[]))"""


async def add_records(
    connection: Driver,
    tenant_id: int,
    source: str,
    records: Sequence[SystemRecord],
    *,
    known_at: datetime,
    message: str,
    keys: MemberKeys = NO_KEYS,
) -> Kept:
    """Add the records of one message; call it in a transaction, and undo that where something differs.

    Two round trips, whatever the number of records, and as many to the key store where members are named by number.

    Args:
        connection: in a transaction.
        tenant_id: the brand.
        source: whose they are.
        records: no name twice.
        known_at: when they became known.
        message: which message brought them.
        keys: the members', for records that name one by number.
    """
    if not records:
        return Kept((), ())
    named = await digests_of_numbers(keys, [(one.member_id, one.number) for one in records])
    added = await connection.fetch(
        _ADD,
        tenant_id,
        source,
        known_at,
        message,
        [one.kind for one in records],
        [one.key for one in records],
        [one.revision for one in records],
        [one.voided for one in records],
        [one.guide_id for one in records],
        [one.member_id for one in records],
        [",".join(map(str, one.also)) for one in records],
        [one.store_id for one in records],
        [one.occurred_at for one in records],
        [one.ended_at for one in records],
        [one.seconds for one in records],
        [one.answered for one in records],
        [one.code for one in records],
        [one.value_minor for one in records],
        named,
    )
    new = {(row["kind"], row["key"], row["revision"]) for row in added}
    at = {(one.kind, one.key, one.revision): place for place, one in enumerate(records)}
    left = [name for name in at if name not in new]
    if not left:
        return Kept(tuple(range(len(records))), ())
    standing = await connection.fetch(
        _STANDING, tenant_id, source, *(list(column) for column in zip(*left, strict=True))
    )
    meant = [Standing(UUID(str(row["member_id"])), _ids(row["also"]), row["named"]) for row in standing]
    held = await keys_of(keys, meant)
    differing = []
    for row, whom in zip(standing, meant, strict=True):
        place = at[row["kind"], row["key"], row["revision"]]
        one = records[place]
        if not names_the_same(whom, held, (one.member_id, *one.also), one.number) or any(
            _plain(row[column]) != _plain(getattr(one, column)) for column in _SAID
        ):
            differing.append(place)
    return Kept(tuple(sorted(at[name] for name in new)), tuple(sorted(differing)))


def root_of_records(records: Sequence[SystemRecord]) -> str:
    """Hex SHA-256 over records in the order of their names: what an event commits to."""
    digest = hashlib.sha256()
    for one in sorted(records, key=lambda one: (one.kind, one.key, one.revision)):
        told = [one.kind, one.key, one.revision, *(_told(getattr(one, column)) for column in CONTENT)]
        digest.update(json.dumps(told, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()


def _ids(values: Sequence[object]) -> tuple[UUID, ...]:
    return tuple(UUID(str(value)) for value in values)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) or type(value).__name__ == "UUID" else value


def _told(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [str(one) for one in value]
    return value if value is None or isinstance(value, bool | int) else str(value)
