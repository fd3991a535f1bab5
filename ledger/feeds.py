"""Feeds: who may send what systems of record say, with which secrets. A secret is a key of the key store, nothing else.

A feed is created, its secret rotated, and it is ended; each is an event of the stream `feed/{source}`, and what it may tell
is kept with its times (`ledger.feed_terms`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.confirmation import KINDS
from domain.errors import NotFound, Problem, Refused
from domain.events import FeedCreated, FeedEnded, FeedSecretRotated
from domain.feed_purposes import kinds_of_source
from domain.identifiers import derived_id
from ledger.door import Driver
from ledger.feed_terms import LATEST, add_terms
from ledger.ledger import Command, Ledger, record
from ledger.member_keys import KEY_BYTES

SOURCE = re.compile(r"[a-z][a-z0-9-]{0,39}")
OVERLAP = timedelta(hours=24)
"""A rotated secret works on for so long, so that the sender can change over (ours)."""
SECRETS = 2
"""Secrets that a signature is held against at least: the one in force and the one it was rotated from."""
_NOBODYS = tuple(derived_id("no secret", str(number)) for number in range(SECRETS))
_NO_SECRETS = tuple(secrets.token_bytes(KEY_BYTES) for _ in range(SECRETS))
LISTED_SPAN = timedelta(days=30)
"""A list goes back so far: it does not grow with the years (ours)."""


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A source: whether it may send and what, and how far it has told everything, by kind."""

    source: str
    kinds: tuple[str, ...]
    created_at: datetime
    ended_at: datetime | None
    secrets: int
    """Secrets in force."""
    messages: int
    last_message_at: datetime | None
    complete_until: dict[str, datetime]


def feed_stream(source: str) -> str:
    """The stream of a feed."""
    return f"feed/{source}"


def check_source(source: str, field: str = "source") -> str:
    """The source's name.

    Raises:
        Refused: it is no name a source can have.
    """
    if SOURCE.fullmatch(source) is None:
        raise Refused([Problem(field, source[:80], "source_not_valid")])
    return source


async def create_feed(
    ledger: Ledger, command: Command, source: str, secret_id: UUID, *, kinds: Collection[str] = ()
) -> bytes:
    """Let a source send; gives its secret. One that was ended may send again, with a new secret.

    Args:
        ledger: of the worker.
        command: by whom, when.
        source: its name.
        secret_id: of the secret, new.
        kinds: what it may tell; none: what is usual for a system of this name (`domain.feed_purposes`).

    Raises:
        Refused: it may send already, this is no name, or it is not said what it may tell.
    """
    check_source(source)
    may = kinds_of_source(source, kinds)
    tenant_id = ledger.tenant_id
    secret = (await ledger.keys.make_many([secret_id]))[secret_id]
    async with ledger.transaction() as connection:
        made = await connection.fetchval(
            "INSERT INTO feed AS f (tenant_id, source, created_at) VALUES ($1, $2, $3)"
            " ON CONFLICT (tenant_id, source) DO UPDATE SET ended_at = NULL WHERE f.ended_at IS NOT NULL"
            " RETURNING true",
            tenant_id,
            source,
            command.known_at,
        )
        if not made:
            raise Refused([Problem("source", source, "feed_exists")])
        await _add_secret(connection, tenant_id, source, secret_id, command.known_at)
        await add_terms(connection, tenant_id, source, may, command.known_at)
        created = FeedCreated(source=source, secret=secret_id, kinds=may)
        await record(connection, tenant_id, command, [(feed_stream(source), created)])
    return secret


async def rotate_secret(
    ledger: Ledger,
    command: Command,
    source: str,
    secret_id: UUID,
    *,
    overlap: timedelta = OVERLAP,
    kinds: Collection[str] = (),
) -> bytes:
    """Give a source a new secret; the ones before end after `overlap`. With `kinds` it may tell these from now on.

    Raises:
        NotFound: it may not send.
        Refused: one of the kinds is none.
    """
    may = kinds_of_source(source, kinds) if kinds else ()
    tenant_id = ledger.tenant_id
    secret = (await ledger.keys.make_many([secret_id]))[secret_id]
    ends_at = command.known_at + overlap
    async with ledger.transaction() as connection:
        await _lock(connection, tenant_id, source)
        await connection.execute(
            "UPDATE feed_secret SET ends_at = $3 WHERE tenant_id = $1 AND source = $2"
            " AND (ends_at IS NULL OR ends_at > $3)",
            tenant_id,
            source,
            ends_at,
        )
        await _add_secret(connection, tenant_id, source, secret_id, command.known_at)
        if may:
            await add_terms(connection, tenant_id, source, may, command.known_at)
        rotated = FeedSecretRotated(source=source, secret=secret_id, before_ends_at=ends_at, kinds=may)
        await record(connection, tenant_id, command, [(feed_stream(source), rotated)])
    return secret


async def end_feed(ledger: Ledger, command: Command, source: str, reason: str) -> None:
    """Take nothing from a source any more; its secrets are destroyed. What it told stays.

    Raises:
        NotFound: there is no such source that has not ended.
        Refused: no reason is given.
    """
    if not reason.strip():
        raise Refused([Problem("reason", reason, "empty")])
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        await _lock(connection, tenant_id, source)
        await connection.execute(
            "UPDATE feed SET ended_at = $3 WHERE tenant_id = $1 AND source = $2",
            tenant_id,
            source,
            command.known_at,
        )
        await add_terms(connection, tenant_id, source, (), command.known_at)
        ending = await connection.fetch(
            "UPDATE feed_secret SET ends_at = $3 WHERE tenant_id = $1 AND source = $2"
            " AND (ends_at IS NULL OR ends_at > $3) RETURNING secret_id",
            tenant_id,
            source,
            command.known_at,
        )
        ended = FeedEnded(source=source, reason=reason)
        await record(connection, tenant_id, command, [(feed_stream(source), ended)])
    for row in ending:
        await ledger.keys.destroy(row["secret_id"])


async def end_secrets(connection: Driver, tenant_id: int, at: datetime) -> list[str]:
    """End the secrets of every source; gives the sources that had one. They send again once they are given a new one."""
    rows = await connection.fetch(
        "UPDATE feed_secret SET ends_at = $2 WHERE tenant_id = $1 AND (ends_at IS NULL OR ends_at > $2)"
        " RETURNING source",
        tenant_id,
        at,
    )
    return sorted({row["source"] for row in rows})


async def secrets_of(ledger: Ledger, source: str, at: datetime) -> list[bytes]:
    """The secrets a source signs with at an instant, never fewer than `SECRETS`: others stand in, that nobody has.

    So a source that is not there, or whose name can be none, takes the same round trip, the same look into the key store
    and as many signatures as one that is: how long a refusal takes does not tell them apart.
    """
    name = source if SOURCE.fullmatch(source) else ""
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT k.secret_id FROM feed_secret k JOIN feed f ON f.tenant_id = $1 AND f.source = k.source"
            " WHERE k.tenant_id = $1 AND k.source = $2 AND (k.ends_at IS NULL OR k.ends_at > $3)"
            " AND f.ended_at IS NULL",
            ledger.tenant_id,
            name,
            at,
        )
    wanted = [row["secret_id"] for row in rows]
    found = await ledger.keys.get_many([*wanted, *_NOBODYS[len(wanted) :]])
    return [*found.values(), *_NO_SECRETS[len(found) :]]


async def list_feeds(
    connection: Driver, tenant_id: int, at: datetime, *, since: timedelta = LISTED_SPAN
) -> list[FeedLine]:
    """Every source that has not ended, and those that ended within `since`, by name.

    Messages are counted within `since`, too; the last one is found by an index, however long ago it was.
    """
    rows = await connection.fetch(
        f"""
        SELECT f.source, f.created_at, f.ended_at, t.kinds,
               (SELECT count(*) FROM feed_secret k WHERE k.tenant_id = $1 AND k.source = f.source
                AND (k.ends_at IS NULL OR k.ends_at > $2)) AS secrets,
               (SELECT count(*) FROM feed_message m WHERE m.tenant_id = $1 AND m.source = f.source
                AND m.known_at > $3) AS messages,
               (SELECT max(m.known_at) FROM feed_message m WHERE m.tenant_id = $1 AND m.source = f.source)
               AS last_message_at
        FROM feed f LEFT JOIN LATERAL ({LATEST.format(source="f.source")}) t ON true
        WHERE f.tenant_id = $1 AND (f.ended_at IS NULL OR f.ended_at > $3) ORDER BY 1""",
        tenant_id,
        at,
        at - since,
    )
    marks = await connection.fetch(
        """
        SELECT f.source, k.kind, (SELECT max(w.complete_until) FROM feed_watermark w
                                  WHERE w.tenant_id = $1 AND w.source = f.source AND w.kind = k.kind) AS complete_until
        FROM unnest($2::text[]) AS f(source), unnest($3::text[]) WITH ORDINALITY AS k(kind, place)
        ORDER BY 1, k.place""",
        tenant_id,
        [row["source"] for row in rows],
        list(KINDS),
    )
    until: dict[str, dict[str, datetime]] = {}
    for mark in marks:
        if mark["complete_until"] is not None:
            until.setdefault(mark["source"], {})[mark["kind"]] = mark["complete_until"]
    return [
        FeedLine(
            **{**row, "kinds": KINDS if row["kinds"] is None else tuple(row["kinds"])},
            complete_until=until.get(row["source"], {}),
        )
        for row in rows
    ]


async def _lock(connection: Driver, tenant_id: int, source: str) -> None:
    if not await connection.fetchval(
        "SELECT true FROM feed WHERE tenant_id = $1 AND source = $2 AND ended_at IS NULL FOR UPDATE",
        tenant_id,
        source,
    ):
        raise NotFound(Problem("source", source[:80], "unknown_feed"))


async def _add_secret(connection: Driver, tenant_id: int, source: str, secret_id: UUID, at: datetime) -> None:
    await connection.execute(
        "INSERT INTO feed_secret (tenant_id, secret_id, source, created_at) VALUES ($1, $2, $3, $4)",
        tenant_id,
        secret_id,
        source,
        at,
    )
