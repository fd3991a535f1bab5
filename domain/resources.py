"""A guide's own resources, counted: members by grade and product line, the last contact, who is going cold, what is next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

NO_PRODUCT = ""
"""The line of members of whom no intended product was ever told."""
GRADES: tuple[str | None, ...] = ("A", "B", None, "C", "D")
"""In the order of contact; None: never graded."""


@dataclass(frozen=True, slots=True)
class OfMember:
    """What counts of a member."""

    grade: str | None
    products: tuple[str, ...]
    last_contact_at: datetime | None
    cold: bool
    next_on: date | None


@dataclass(frozen=True, slots=True)
class ResourceLine:
    """Members of one grade who want one product line; the latest contact with any of them, the nearest date."""

    grade: str | None
    product: str
    members: int
    last_contact_at: datetime | None
    cold: int
    next_on: date | None


def resource_lines(members: Iterable[OfMember]) -> tuple[ResourceLine, ...]:
    """A line a grade and product line that somebody has: who wants two is in two lines."""
    groups: dict[tuple[int, str], list[OfMember]] = {}
    for member in members:
        for product in member.products or (NO_PRODUCT,):
            groups.setdefault((GRADES.index(member.grade), product), []).append(member)
    return tuple(summed(GRADES[grade], product, groups[grade, product]) for grade, product in sorted(groups))


def summed(grade: str | None, product: str, members: Iterable[OfMember]) -> ResourceLine:
    """Each member once."""
    listed = list(members)
    contacts = [one.last_contact_at for one in listed if one.last_contact_at is not None]
    dates = [one.next_on for one in listed if one.next_on is not None]
    return ResourceLine(
        grade,
        product,
        len(listed),
        max(contacts, default=None),
        sum(one.cold for one in listed),
        min(dates, default=None),
    )
