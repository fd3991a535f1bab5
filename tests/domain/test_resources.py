"""A guide's own resources, counted."""

from __future__ import annotations

from datetime import UTC, date, datetime

from domain.resources import OfMember, resource_lines, summed

EARLY, LATE = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)


def test_members_are_counted_by_grade_in_the_order_of_contact_and_by_product_line() -> None:
    members = [
        OfMember("C", (), None, cold=False, next_on=None),
        OfMember("A", ("TIN", "SOAP"), EARLY, cold=True, next_on=date(2026, 3, 20)),
        OfMember("A", ("TIN",), LATE, cold=False, next_on=date(2026, 3, 12)),
        OfMember(None, (), None, cold=False, next_on=date(2026, 3, 10)),
    ]
    lines = [
        (one.grade, one.product, one.members, one.last_contact_at, one.cold, one.next_on)
        for one in resource_lines(members)
    ]
    assert lines == [
        ("A", "SOAP", 1, EARLY, 1, date(2026, 3, 20)),
        ("A", "TIN", 2, LATE, 1, date(2026, 3, 12)),
        (None, "", 1, None, 0, date(2026, 3, 10)),
        ("C", "", 1, None, 0, None),
    ]
    total = summed(None, "", members)
    assert (total.members, total.cold, total.last_contact_at, total.next_on) == (
        4,
        1,
        LATE,
        date(2026, 3, 10),
    )
