"""Members' contact accounts for people: what one says, and how often members are contacted at most."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from activities.asked import Asked
from domain.calendar import business_date
from domain.contact_budget import Limits
from domain.events import ContactLimitsSet
from ledger.contact_accounts import ContactAccount, read_account
from ledger.contact_limits import STREAM, DatedLimits, read_limits, set_limits, standing_on
from ledger.door import lock_heads
from ledger.ledger import Command, Ledger
from ledger.members import member_id_of, member_of_item
from ledger.plans import visible_plans
from ledger.stores import usual_zone


@dataclass(frozen=True, slots=True)
class LimitsOfDay:
    """The limits of a day, and every span of days with limits of its own; the first has no beginning."""

    day: date
    limits: Limits
    said: tuple[DatedLimits, ...]


async def account_of(ledger: Ledger, who: str | UUID, at: datetime) -> ContactAccount:
    """The contact account of a member in the asker's reach, by the brand's own code or an item's id.

    Contacts count whoever made them; of plans that the asker does not see none is named.

    Raises:
        NotFound: nobody in reach has this code, or there is no such item in reach.
    """
    async with ledger.connection() as connection:
        if isinstance(who, UUID):
            member_id = await member_of_item(connection, ledger.tenant_id, who, "seen")
        else:
            member_id = await member_id_of(connection, ledger.tenant_id, who, "seen")
        plans = await visible_plans(connection, ledger.tenant_id)
    async with ledger.for_upkeep().connection() as connection:
        return await read_account(connection, ledger.tenant_id, member_id, at=at, plans=plans)


async def limits_of(
    ledger: Ledger, at: datetime, *, day: date | None = None, known_at: datetime | None = None
) -> LimitsOfDay:
    """The limits of a day (None: today), as they stand or as they had been said by an instant."""
    async with ledger.connection() as connection:
        on = day or business_date(at, await usual_zone(connection, ledger.tenant_id))
        said = await read_limits(connection, ledger.tenant_id, known_at=known_at)
    return LimitsOfDay(on, standing_on(said, on), tuple(said))


async def say_limits(
    ledger: Ledger,
    asked: Asked,
    *,
    from_on: date | None,
    day: int | None,
    week: int | None,
    month: int | None,
    reason: str,
) -> LimitsOfDay:
    """Say how often members are contacted at most from a day on (None: today); what is left out stays.

    Raises:
        Refused: see `ledger.contact_limits.set_limits`.
    """
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        await lock_heads(connection, tenant_id, [STREAM])  # what is left out is filled from what stands
        on = from_on or business_date(asked.at, await usual_zone(connection, tenant_id))
        standing = standing_on(await read_limits(connection, tenant_id), on)
        new = ContactLimitsSet(
            from_on=on,
            day=standing.day if day is None else day,
            week=standing.week if week is None else week,
            month=standing.month if month is None else month,
            reason=reason,
        )
        command = Command(
            f"contact-limits/{asked.key or secrets.token_hex(8)}", asked.at, asked.at, asked.actor
        )
        await set_limits(connection, tenant_id, command, new)
        said = await read_limits(connection, tenant_id)
    return LimitsOfDay(on, standing_on(said, on), tuple(said))
