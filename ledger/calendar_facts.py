"""What brand, regions, stores and guides say of their calendars: written as events, read as it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from domain.calendar_facts import CalendarFacts, Scope
from domain.events import CalendarSet
from ledger.door import Driver
from ledger.ledger import Command, record

BRAND = ""
"""The brand's own subject."""


def calendar_stream(scope: Scope, subject: str) -> str:
    """The stream of a subject's calendar."""
    return f"calendar/{scope}/{subject}"


async def read_facts(
    connection: Driver, tenant_id: int, scope: Scope, subjects: Sequence[str] | None = None
) -> dict[str, CalendarFacts]:
    """What subjects of a scope say (None: all that say anything). One round trip."""
    rows = await connection.fetch(
        "SELECT subject, facts::text AS facts FROM calendar_layer WHERE tenant_id = $1 AND scope = $2"
        " AND ($3::text[] IS NULL OR subject = ANY($3))",
        tenant_id,
        scope,
        None if subjects is None else list(subjects),
    )
    return {row["subject"]: facts_of(row["facts"]) for row in rows}


async def hold_calendars(connection: Driver, tenant_id: int) -> None:
    """Decide on calendars one at a time until the transaction ends: two files would else undo each other."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.calendar'), $1)", tenant_id)


async def write_facts(
    connection: Driver,
    tenant_id: int,
    command: Command,
    scope: Scope,
    said: Mapping[str, CalendarFacts],
) -> frozenset[str]:
    """Say what differs from what is said, of any number of subjects; returns the subjects that changed.

    Four round trips; call it in a transaction after `hold_calendars`. What is said already leaves no event.
    Free text goes into none, whoever hands it in (`CalendarFacts.impersonal`).
    """
    before = await read_facts(connection, tenant_id, scope, sorted(said))
    ordered = {subject: said[subject].impersonal(scope).in_order() for subject in sorted(said)}
    changed = {
        subject: facts for subject, facts in ordered.items() if facts != before.get(subject, CalendarFacts())
    }
    if not changed:
        return frozenset()
    payloads = {subject: facts.model_dump(mode="json") for subject, facts in changed.items()}
    events = [
        (calendar_stream(scope, subject), CalendarSet(scope=scope, subject=subject, facts=payload))
        for subject, payload in payloads.items()
    ]
    if (await record(connection, tenant_id, command, events)).duplicate:
        return frozenset()
    await connection.execute(
        """
        INSERT INTO calendar_layer AS k (tenant_id, scope, subject, facts, version, decided_at)
        SELECT $1, $2, n.subject, n.facts::jsonb, h.version, $5
        FROM unnest($3::text[], $4::text[]) AS n(subject, facts)
        JOIN stream_head h ON h.tenant_id = $1 AND h.stream = format('calendar/%s/%s', $2::text, n.subject)
        ON CONFLICT (tenant_id, scope, subject) DO UPDATE
            SET facts = EXCLUDED.facts, version = EXCLUDED.version, decided_at = EXCLUDED.decided_at""",
        tenant_id,
        scope,
        list(payloads),
        [json.dumps(payload, ensure_ascii=False) for payload in payloads.values()],
        command.known_at,
    )
    return frozenset(changed)


@lru_cache(maxsize=4096)
def facts_of(facts: str) -> CalendarFacts:
    """What a row of `calendar_layer` holds."""
    return CalendarFacts.model_validate_json(facts)
