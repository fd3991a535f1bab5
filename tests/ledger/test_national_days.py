"""National calendars: as announced, and what is not announced yet is unknown."""

from datetime import date

from domain.calendar import WorkingCalendar
from ledger.national_days import national_days


def test_chinas_holidays_and_make_up_days_of_2026_are_the_announced_ones() -> None:
    china = national_days("CN")
    assert china is not None
    assert all(date(2026, 10, day) in china.closed_names for day in range(1, 8))
    made_up = [day for day in china.opened_names if day.year == 2026]
    assert made_up == [
        date(2026, 1, 4),
        date(2026, 2, 14),
        date(2026, 2, 28),
        date(2026, 5, 9),
        date(2026, 9, 20),
        date(2026, 10, 10),
    ]
    assert china.closed_names[date(2026, 2, 17)] == "春节"


def test_a_year_that_the_package_does_not_know_is_unknown_and_not_guessed() -> None:
    china = national_days("CN")
    assert china is not None
    assert china.years is not None
    after = max(china.years) + 1
    assert WorkingCalendar((china,)).unknown_years(date(after, 1, 1), date(after, 1, 1)) == {"CN": (after,)}
    assert not any(day.year == after for day in (*china.closed_names, *china.opened_names))


def test_other_countries_have_theirs_and_a_country_nobody_knows_has_none() -> None:
    germany = national_days("DE")
    assert germany is not None
    assert date(2026, 10, 3) in germany.closed_names
    assert national_days("ZZ") is None
