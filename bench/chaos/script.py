"""What happens in the day: a brand, three plans, and who reports what when; all of it follows from the seed.

Plan `main` runs to its early close, `paused` is paused for an hour of the script and resumed, `recalled` is recalled
after part of it was done. Every guide has items of all three. Reports come in three waves, each after a slot, so that
what a slot finds is the same however long a report took.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from domain.plan import clock_text

SECRET = b"chaos"
"""Keys the ids, so that two days of one seed speak of the same members."""
STORES, GUIDES = 3, 12
MAIN, PAUSED, RECALLED = "chaos-main", "chaos-paused", "chaos-recalled"
ITEMS = {MAIN: 12, PAUSED: 6, RECALLED: 6}
CATEGORIES = {MAIN: "TIN", PAUSED: "COFFEE", RECALLED: "SOAP"}
UNITS, DAYS_PER_UNIT, LEAD_DAYS = 4, 7, 5
STOCK = timedelta(days=UNITS * DAYS_PER_UNIT - LEAD_DAYS)
"""Bought so long ago, the item is due today."""
WORKING_DAYS = 3
BUSY, MOST_IN_A_WAVE = 0.5, 20
"""A guide reports during this share of a wave, at equal distances, so that kills meet reports all the time."""
BOUGHT_AFTER = timedelta(milliseconds=100)
"""A member who buys after a call does so this soon."""
REACHED = (("interested", "A"), ("interested", "B"), ("booked_visit", "A"), ("refused", "D"), ("came", "B"))
MISSED = ("no_answer", "unreachable")


@dataclass(frozen=True, slots=True)
class Hours:
    """The day's instants (aware), whole seconds; a slot is a time at which guides are nudged."""

    zone: str
    release: datetime
    slots: tuple[datetime, datetime]
    close: datetime

    @property
    def day(self) -> date:
        """The business date."""
        return self.local(self.release).date()

    def local(self, instant: datetime) -> datetime:
        """As clocks in the zone show it."""
        return instant.astimezone(ZoneInfo(self.zone))

    def wave(self, number: int) -> datetime:
        """When the reports of wave 0, 1, 2 begin to occur."""
        return (self.release, *self.slots)[number]

    def ends(self, number: int) -> datetime:
        """By when the reports of a wave are to be acknowledged."""
        return (*self.slots, self.close)[number]

    def step(self, number: int) -> timedelta:
        """Between two reports of a guide in a wave, as her phone stamps them."""
        return (self.ends(number) - self.wave(number)) * BUSY / MOST_IN_A_WAVE


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds from the launch to the release, to each of the two slots, and to the close."""

    release: int
    first: int
    second: int
    close: int

    def hours(self, present: datetime, zone: str) -> Hours:
        """The day that begins now."""
        release = present.replace(microsecond=0) + timedelta(seconds=self.release)
        first = release + timedelta(seconds=self.first)
        second = first + timedelta(seconds=self.second)
        return Hours(zone, release, (first, second), second + timedelta(seconds=self.close))


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one item: `place` is its number within wave and guide."""

    guide: str
    member: str
    wave: int
    place: int
    outcome: str
    grade: str | None
    tomorrow: bool
    """Whether tomorrow was agreed on."""
    again: bool = False
    """Sent about an item that is finished: it must be refused."""

    @property
    def key(self) -> str:
        """The client's own name for it."""
        return f"{self.member}-{self.wave}{'-again' if self.again else ''}"

    def occurred_at(self, hours: Hours) -> datetime:
        """When the guide's phone says that it was."""
        return hours.wave(self.wave) + hours.step(self.wave) * (self.place + 1)


@dataclass(frozen=True, slots=True)
class Script:
    """Everything anybody does."""

    reports: tuple[Report, ...]
    bought_before: tuple[str, ...]
    """Members who bought in the morning, which the engine learns after the first wave."""
    bought_after: tuple[str, ...]
    """Members who bought after they had been called in the first wave."""
    goal: int

    def of(self, guide: str, wave: int) -> list[Report]:
        """A guide's reports of a wave, in order."""
        return [report for report in self.reports if (report.guide, report.wave) == (guide, wave)]


def guides() -> list[str]:
    """Codes of the guides."""
    return [f"G{number:02}" for number in range(1, GUIDES + 1)]


def store_of(guide: str) -> str:
    """Code of a guide's store."""
    return f"S{int(guide[1:]) % STORES + 1}"


def members(guide: str, plan: str) -> list[str]:
    """Codes of a guide's members in a plan."""
    return [f"M{guide[1:]}-{plan[6]}{number}" for number in range(1, ITEMS[plan] + 1)]


def written(seed: int) -> Script:
    """The script of a seed."""
    reports: list[Report] = []
    before, after = [], []
    for number, guide in enumerate(guides()):
        draws = Random(f"{seed}/script/{guide}")  # noqa: S311 - a campaign replays
        main, paused, recalled = (members(guide, plan) for plan in (MAIN, PAUSED, RECALLED))
        if draws.random() < 0.5:
            before.append(main.pop())
        # Some are through before the first slot, some before the second, most leave something open.
        match number % 4:
            case 0:
                waves = [main + recalled, [], paused]
            case 1:
                waves = [main[:5] + paused[:2] + recalled[:2], main[5:] + paused[2:] + recalled[2:4], []]
            case _:
                waves = [
                    main[:4] + paused[:2] + recalled[:2],
                    main[4:8] + recalled[2:4],
                    main[8:10] + paused[2:5],
                ]
        mine: list[Report] = []
        for wave, called in enumerate(waves):
            mine += [_report(draws, guide, member, wave, place) for place, member in enumerate(called)]
        done = next(one for one in mine if one.outcome not in MISSED and not one.tomorrow)
        mine.append(Report(guide, done.member, 2, 9, "interested", "A", tomorrow=False, again=True))
        after += [one.member for one in mine if one.wave == 0 and one.outcome == "booked_visit"]
        reports += mine
    return Script(tuple(reports), tuple(before), tuple(after), Random(f"{seed}/goal").randint(50, 90))  # noqa: S311


def _report(draws: Random, guide: str, member: str, wave: int, place: int) -> Report:
    # The first of a guide's day is always finished by it, so that there is one to report again.
    if (place or wave) and draws.random() < 0.25:
        return Report(guide, member, wave, place, draws.choice(MISSED), None, tomorrow=False)
    outcome, grade = draws.choice(REACHED)
    tomorrow = bool(place or wave) and grade != "D" and draws.random() < 0.2
    return Report(guide, member, wave, place, outcome, grade, tomorrow=tomorrow)


def playbook(plan: str, hours: Hours) -> dict[str, Any]:
    """A plan as it is sent to the API."""
    clock = [clock_text(hours.local(at).time()) for at in (hours.release, *hours.slots, hours.close)]
    last = hours.day + timedelta(days=30)
    return {
        "plan": plan,
        "name": plan,
        "period": {"start": hours.day.isoformat(), "working_days": WORKING_DAYS},
        # Whatever the day of the run is, it is worked.
        "calendar": {"opened": [(hours.day + timedelta(days=ahead)).isoformat() for ahead in range(WORKING_DAYS)]},
        "members": {"bought_categories": [CATEGORIES[plan]], "within_days": 180},
        "care": {
            "strategies": [{"strategy": "reception"}],
            "members_per_guide": 100,
            "items_per_day": 50,
        },
        "goal": {"measure": "completion_rate", "target": 60, "by": last.isoformat()},
        "means": [{"name": plan, "script": "Hello", "lead_days": LEAD_DAYS, "days_per_unit": {CATEGORIES[plan]: DAYS_PER_UNIT}}],
        "day": {"release": clock[0], "nudges": clock[1:3], "close": clock[3], "open_items": "expire" if plan == MAIN else "carry_over"},
        "check": {"attribution_days": 14},
        "act": {"raise_at": 100, "lower_at": 60, "step": 5},
    }  # fmt: skip


def tomorrow(hours: Hours) -> date:
    """The next day of the plans."""
    return hours.day + timedelta(days=1)


def stores_frame(zone: str) -> pl.DataFrame:
    """The stores."""
    codes = [f"S{number}" for number in range(1, STORES + 1)]
    return pl.DataFrame({"code": codes, "name": codes}).with_columns(
        time_zone=pl.lit(zone), opens_at=pl.lit("00:00"), closes_at=pl.lit("23:59")
    )


def guides_frame() -> pl.DataFrame:
    """The guides, each of one store."""
    codes = guides()
    return pl.DataFrame({"code": codes, "name": codes, "store": [store_of(code) for code in codes]})


def members_frame() -> pl.DataFrame:
    """Every guide's members."""
    rows = [
        (member, member, store_of(guide))
        for guide in guides()
        for plan in ITEMS
        for member in members(guide, plan)
    ]
    return pl.DataFrame(rows, schema=["code", "name", "store"], orient="row")


def stock_frame(day: date) -> pl.DataFrame:
    """What they have at home: all of it runs out so that they are to be called on `day`."""
    bought = datetime.combine(day - STOCK, time(12))
    rows = [
        _purchase(guide, member, plan, f"stock-{member}", bought, worth=100 + number)
        for guide in guides()
        for plan in ITEMS
        for number, member in enumerate(members(guide, plan))
    ]
    return _purchases(rows)


def bought_frame(script: Script, hours: Hours) -> pl.DataFrame:
    """What was bought on the day and is imported in the middle of it."""
    morning = datetime.combine(hours.day, time(9, 30))
    called = {report.member: report.occurred_at(hours) for report in script.reports if report.wave == 0}
    rows = [_on_the_day(member, morning) for member in script.bought_before]
    rows += [
        _on_the_day(member, hours.local(called[member] + BOUGHT_AFTER).replace(tzinfo=None))
        for member in script.bought_after
    ]
    return _purchases(rows)


def _on_the_day(member: str, at: datetime) -> tuple[Any, ...]:
    return _purchase(f"G{member[1:3]}", member, _plan_of(member), f"day-{member}", at, worth=50)


def _plan_of(member: str) -> str:
    return next(plan for plan in ITEMS if plan[6] == member[4])


def _purchase(
    guide: str, member: str, plan: str, basket: str, at: datetime, *, worth: int
) -> tuple[Any, ...]:
    category = CATEGORIES[plan]
    return (
        member,
        store_of(guide),
        at.isoformat(" ", "milliseconds"),
        basket,
        f"{category}-1",
        category,
        UNITS,
        f"{worth}.00",
        guide,
    )


def _purchases(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = ["member", "store", "occurred_at", "basket", "product", "category", "quantity", "value", "guide"]
    return pl.DataFrame(rows, schema=schema, orient="row")
