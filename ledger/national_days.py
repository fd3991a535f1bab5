"""Public holidays and make-up working days by country: as announced, never guessed.

China: `chinesecalendar`, which holds the State Council's yearly announcements (holidays and make-up days 调休) and nothing
else; a year that is not announced yet is unknown. Other countries: `holidays`, which works them out by law; there a
weekday off in a year to come is known. Both are pinned: what a day was decided on changes with the lock file only.
"""

from __future__ import annotations

from functools import lru_cache

import holidays
from chinese_calendar import constants

from domain.calendar import DayLayer, LayerName, NamedDay
from domain.calendar_facts import CHINA

FIRST_YEAR, LAST_YEAR = 2010, 2050
"""Of countries whose holidays follow from law."""


@lru_cache(maxsize=64)
def national_days(country: str) -> DayLayer | None:
    """What the country's calendar says of days; None where no package knows the country.

    Args:
        country: ISO 3166, two letters.
    """
    if country == CHINA:
        return _china()
    if country not in holidays.list_supported_countries(include_aliases=False):
        return None
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    found = holidays.country_holidays(country, years=years)
    return DayLayer(
        layer=LayerName.NATIONAL,
        subject=country,
        closed=tuple(NamedDay(on=day, name=found[day]) for day in sorted(found)),
        years=tuple(years),
    )


def _china() -> DayLayer:
    # A year counts as announced once its own holidays are there, not by a New Year's Eve borrowed for the next.
    named = {day: constants.Holiday(name).chinese for day, name in constants.holidays.items()}
    made_up = {day: constants.Holiday(name).chinese for day, name in constants.workdays.items()}
    years = sorted(
        {day.year for day, name in named.items() if name == constants.Holiday.national_day.chinese}
    )
    return DayLayer(
        layer=LayerName.NATIONAL,
        subject=CHINA,
        closed=tuple(NamedDay(on=day, name=named[day]) for day in sorted(named)),
        opened=tuple(NamedDay(on=day, name=f"{made_up[day]}调休") for day in sorted(made_up)),
        years=tuple(years),
    )
