"""Many accounts at once, set-based: an import of ten thousand is a few hundred round trips, not a hundred thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.events import AccountCreated, Event, RoleGranted
from domain.policy import BY_MANAGER
from ledger.account_places import Grant
from ledger.accounts import NewAccount, void_one_time_pin
from ledger.door import Driver, append, lock_heads
from ledger.ledger import Command, account_stream, stream_batch

CHUNK = 500
"""Accounts in one append."""


@dataclass(frozen=True, slots=True)
class Admission:
    """An account and what it is granted; `new` is None where it exists already."""

    account_id: UUID
    new: NewAccount | None
    grants: tuple[tuple[UUID, Grant], ...]


async def guides_by_code(connection: Driver, tenant_id: int, codes: Sequence[str]) -> dict[str, UUID]:
    """The guides that have one of these codes, active or not."""
    rows = await connection.fetch(
        "SELECT code, guide_id FROM guide WHERE tenant_id = $1 AND code = ANY($2)", tenant_id, list(codes)
    )
    return {row["code"]: UUID(str(row["guide_id"])) for row in rows}


@dataclass(frozen=True, slots=True)
class Known:
    """An account that exists: `held` is every (role, place) it was ever granted, `lost` what of it holds no more."""

    account_id: UUID
    login: str
    name: str
    guide_id: UUID | None
    active: bool
    held: frozenset[tuple[str, str]]
    lost: frozenset[tuple[str, str]]


async def read_known(
    connection: Driver, tenant_id: int, logins: Sequence[str], guides: Sequence[UUID], *, at: datetime
) -> list[Known]:
    """The accounts that have one of these logins, or are one of these guides and open."""
    rows = await connection.fetch(
        """
        SELECT a.account_id, a.login, a.name, a.guide_id, a.active,
            ARRAY(SELECT ARRAY[g.role, g.place] FROM role_grant g
                  WHERE g.tenant_id = $1 AND g.account_id = a.account_id) AS held,
            ARRAY(SELECT ARRAY[g.role, g.place] FROM role_grant g
                  WHERE g.tenant_id = $1 AND g.account_id = a.account_id
                  GROUP BY g.role, g.place HAVING bool_and(g.ends_at IS NOT NULL AND g.ends_at <= $4)) AS lost
        FROM account a WHERE a.tenant_id = $1 AND (a.login = ANY($2) OR (a.guide_id = ANY($3) AND a.active))""",
        tenant_id,
        list(logins),
        list(guides),
        at,
    )
    return [
        Known(
            account_id=row["account_id"],
            login=row["login"],
            name=row["name"],
            guide_id=row["guide_id"],
            active=row["active"],
            held=frozenset((role, place) for role, place in row["held"]),
            lost=frozenset((role, place) for role, place in row["lost"]),
        )
        for row in rows
    ]


async def admit(
    connection: Driver, tenant_id: int, command: Command, admissions: Sequence[Admission]
) -> None:
    """Create accounts and grant roles; call it in a transaction, the accounts locked, everything checked.

    Each chunk is one append under a command id of its own: `{command}/{number}`.
    """
    for number, at in enumerate(range(0, len(admissions), CHUNK)):
        chunk = admissions[at : at + CHUNK]
        heads = await lock_heads(
            connection, tenant_id, [account_stream(one.account_id) for one in chunk if one.new is None]
        )
        await append(
            connection,
            tenant_id=tenant_id,
            command_id=f"{command.command_id}/{number}",
            known_at=command.known_at,
            batches=[
                stream_batch(
                    command,
                    account_stream(one.account_id),
                    heads.get(account_stream(one.account_id)),
                    *_events(command, one),
                )
                for one in chunk
            ],
        )
        await _write_accounts(
            connection, tenant_id, command, [one.new for one in chunk if one.new is not None]
        )
        await _write_grants(connection, tenant_id, command, chunk)
        for one in chunk:
            beyond_guide = any(grant.role not in BY_MANAGER for _, grant in one.grants)
            if one.new is None and beyond_guide:
                told = replace(command, command_id=f"{command.command_id}/{one.account_id}")
                await void_one_time_pin(connection, tenant_id, told, one.account_id)


def _events(command: Command, admission: Admission) -> list[Event]:
    events: list[Event] = []
    if admission.new is not None:
        events.append(AccountCreated(account=admission.account_id, guide=admission.new.guide_id))
    events += [
        RoleGranted(
            grant=grant_id,
            role=grant.role.value,
            place=grant.place,
            starts_at=grant.starts_at or command.occurred_at,
            ends_at=grant.ends_at,
            reason="",
        )
        for grant_id, grant in admission.grants
    ]
    return events


async def _write_accounts(
    connection: Driver, tenant_id: int, command: Command, accounts: Sequence[NewAccount]
) -> None:
    await connection.execute(
        """INSERT INTO account (tenant_id, account_id, login, name, guide_id, password, must_change, created_at)
        SELECT $1, n.*, $2 FROM unnest($3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::boolean[]) AS n""",
        tenant_id,
        command.known_at,
        [one.account_id for one in accounts],
        [one.login for one in accounts],
        [one.name for one in accounts],
        [one.guide_id for one in accounts],
        [one.password for one in accounts],
        [one.must_change for one in accounts],
    )


async def _write_grants(
    connection: Driver, tenant_id: int, command: Command, admissions: Sequence[Admission]
) -> None:
    rows = [(grant_id, one.account_id, grant) for one in admissions for grant_id, grant in one.grants]
    await connection.execute(
        """INSERT INTO role_grant (tenant_id, grant_id, account_id, role, place, starts_at, ends_at)
        SELECT $1, n.* FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[]) AS n""",
        tenant_id,
        [grant_id for grant_id, _, _ in rows],
        [account_id for _, account_id, _ in rows],
        [grant.role.value for _, _, grant in rows],
        [grant.place for _, _, grant in rows],
        [grant.starts_at or command.occurred_at for _, _, grant in rows],
        [grant.ends_at for _, _, grant in rows],
    )
