"""What a member's contact account says: what happened, what is reserved, what is left and when it comes free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.calendar import business_date
from domain.contact_budget import ContactPeriod, Limits, free_on, left, span, used
from ledger.calendars import NO_STORE_ZONE
from ledger.contact_limits import read_limits, standing_on
from ledger.contacts import contacts_of
from ledger.door import Driver

RESERVED = "reserved"
"""The kind of a contact that has not happened: an item on an open list."""
_CONTACTS = f"""
SELECT on_day, plan_id, kind FROM ({contacts_of("(SELECT $2::uuid AS member_id)", day="$3::date", one=True)}) c
ORDER BY on_day, plan_id NULLS LAST, kind"""


@dataclass(frozen=True, slots=True)
class Contacts:
    """Contacts of a day by the same plan in the same way; `plan` is None where it is none of the asker's to see.

    `kind` is the channel of the check-ins, `message`, or `reserved`.
    """

    day: date
    plan: str | None
    kind: str
    contacts: int


@dataclass(frozen=True, slots=True)
class PeriodOfAccount:
    """A day, week or month: its limit, what is taken of it, and the day on which it begins anew."""

    period: ContactPeriod
    limit: int
    taken: int
    begins_anew: date


@dataclass(frozen=True, slots=True)
class ContactAccount:
    """A member's account over all plans on a day."""

    zone: str
    """Where she is at home: whose date it is."""
    day: date
    left: int
    """Contacts that are left today."""
    free_on: date
    """The first day with one left, where nothing more happens until then; today, if there is one."""
    periods: tuple[PeriodOfAccount, ...]
    contacts: tuple[Contacts, ...]


async def read_account(
    connection: Driver, tenant_id: int, member_id: UUID, *, at: datetime, plans: Collection[str] | None = None
) -> ContactAccount:
    """The account of a member on the date of `at` where she is at home. Three round trips; rows: her contacts of a month.

    Args:
        connection: one that sees all of the ledger: contacts count whoever made them.
        tenant_id: the brand.
        member_id: whose.
        at: the instant.
        plans: those that may be named; None: all.
    """
    home = await connection.fetchval(
        "SELECT s.time_zone FROM member m JOIN store s ON s.tenant_id = $1 AND s.store_id = m.home_store_id"
        " WHERE m.tenant_id = $1 AND m.member_id = $2",
        tenant_id,
        member_id,
    )
    zone = home or NO_STORE_ZONE
    day = business_date(at, zone)
    limits = standing_on(await read_limits(connection, tenant_id, known_at=at), day)
    rows = await connection.fetch(_CONTACTS, tenant_id, member_id, day)
    days = [row["on_day"] for row in rows]
    of_day = used(days, day)
    told = Counter(
        (row["on_day"], row["plan_id"] if plans is None or row["plan_id"] in plans else None, row["kind"])
        for row in rows
    )
    return ContactAccount(
        zone,
        day,
        left(of_day, limits),
        free_on(days, limits, day),
        tuple(_period(period, limits, of_day[period], day) for period in ContactPeriod),
        tuple(Contacts(*which, contacts=number) for which, number in told.items()),
    )


def _period(period: ContactPeriod, limits: Limits, taken: int, day: date) -> PeriodOfAccount:
    last = span(period, day)[1]
    return PeriodOfAccount(period, limits.of(period), taken, date.fromordinal(last.toordinal() + 1))
