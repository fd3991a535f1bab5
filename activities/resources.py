"""The board of a guide's own resources: grade by product line, or member by member. Read as whoever asks sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.board import Basis, Board, Cell, Column
from domain.calendar import business_date
from domain.resources import NO_PRODUCT, OfMember, ResourceLine, resource_lines, summed
from ledger.ledger import Ledger
from ledger.people import NOBODY, read_people
from ledger.resources import Resource, home_of, read_resources

By = Literal["grade", "member"]

_COUNTED = (
    Column("members"),
    Column("last_contact", "instant"),
    Column("going_cold"),
    Column("next_on", "date"),
)
_LINES = (Column("grade", "text"), Column("products", "text"), *_COUNTED)
_MEMBERS = (
    Column("member", "text"), Column("grade", "text"), Column("products", "text"), Column("last_contact", "instant"),
    Column("going_cold", "flag"), Column("next_on", "date"),
)  # fmt: skip


async def make_resources(
    ledger: Ledger, guide_id: UUID, code: str, *, at: datetime, by: By = "grade"
) -> Board:
    """Her members as they stand now, of the plans that run.

    Args:
        ledger: the asker's; whoever may look at her lists.
        guide_id: the guide.
        code: hers.
        at: now.
        by: a line a grade and product line, or a line a member, masked.
    """
    async with (
        ledger.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        members = await read_resources(connection, ledger.tenant_id, guide_id, at=at)
        store, zone = await home_of(connection, ledger.tenant_id, guide_id, code)
        ids = [one.member_id for one in members] if by == "member" else []
        people = await read_people(connection, ledger.tenant_id, ledger.keys, ids)
    today = business_date(at, zone)
    counted = [
        OfMember(one.grade, one.products, one.last_contact_at, one.cold, one.next_on) for one in members
    ]
    rows: tuple[tuple[Cell, ...], ...]
    if by == "member":
        rows = tuple(_member(people.get(one.member_id, NOBODY).masked, one) for one in members)
        total = None
    else:
        rows = tuple(_line(one) for one in resource_lines(counted))
        total = _line(summed(None, NO_PRODUCT, counted))
    return Board(
        "resources",
        Basis(today, today, at, None, zone, whole=False),
        _MEMBERS if by == "member" else _LINES,
        rows,
        {"guide": code, "store": store},
        ("of_running_plans", "masked" if by == "member" else "in_two_lines"),
        total,
    )


def _line(one: ResourceLine) -> tuple[Cell, ...]:
    return (
        one.grade or "", one.product, one.members, one.last_contact_at or "", one.cold, one.next_on or "",
    )  # fmt: skip


def _member(masked: str, one: Resource) -> tuple[Cell, ...]:
    return (
        masked, one.grade or "", " · ".join(one.products), one.last_contact_at or "", one.cold, one.next_on or "",
    )  # fmt: skip
