"""What a brand, a region, a store or a guide says of its calendar, and how the layers of one are put together.

One `CalendarFacts` is everything one of them says; the event of a change holds it whole. Lists are kept sorted, so that
what is said twice is equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from domain.calendar import EVERY_WEEKDAY, DayLayer, LayerName, NamedDay, WorkingCalendar
from domain.layers import (
    DatedHours,
    Frozen,
    GuideHours,
    Hours,
    Layers,
    Leave,
    QuietHours,
    StoreHours,
    Weekday,
    WeekdayHours,
)

Scope = Literal["brand", "region", "store", "guide"]
"""Who says it, from the outside in."""
MOST_DATES = 4000
"""Dated facts of one subject; ten years of a store that names every day."""
NO_COUNTRY = "none"
"""Said where a brand, region or store works through public holidays."""
CHINA = "CN"
REASONS = frozenset(
    {
        *(
            "盘点",
            "装修",
            "搬迁",
            "停电",
            "断水",
            "台风",
            "暴雨",
            "年会",
            "培训",
            "节假日",
            "法定假日",
            "放假",
            "休市",
            "闭店",
        ),
        *(
            "元旦",
            "春节",
            "清明节",
            "劳动节",
            "端午节",
            "中秋节",
            "国庆节",
            "调休",
            "加班",
            "促销",
            "店庆",
            "商场活动",
        ),
        *(
            "stocktaking",
            "renovation",
            "moving",
            "power cut",
            "storm",
            "training",
            "holiday",
            "make-up day",
            "sale",
        ),
        *("mall event",),
    }
)
"""Why a brand, a region or a store is closed or open on a date: what may be told of it, for it goes into events, which
nobody takes back. Any other text might name somebody and is not kept; of guides none is."""
CHINESE_ZONES = frozenset({"Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "Asia/Urumqi", "PRC"})
"""Stores there keep China's statutory calendar unless somebody says otherwise; all others name their country."""


class CalendarFacts(Frozen):
    """Everything one scope says. What is empty or None says nothing and leaves it to the layers outside."""

    country: str | None = Field(default=None, pattern=r"^([A-Z]{2}|none)$")
    """ISO 3166: whose public holidays; `none`: works through them."""
    weekdays: tuple[Weekday, ...] | None = Field(default=None, min_length=1, max_length=7)
    closed: tuple[NamedDay, ...] = Field(default=(), max_length=MOST_DATES)
    opened: tuple[NamedDay, ...] = Field(default=(), max_length=MOST_DATES)
    weekly: tuple[WeekdayHours, ...] = Field(default=(), max_length=7)
    """Opening hours of a store, shifts of a guide."""
    dated: tuple[DatedHours, ...] = Field(default=(), max_length=MOST_DATES)
    quiet: QuietHours | None = None
    """Of the brand's members."""

    @model_validator(mode="after")
    def _each_date_once(self) -> Self:
        for listed in (self.closed, self.opened, self.dated):
            dates = [one.on for one in listed]
            if len(set(dates)) < len(dates):
                raise ValueError("date_twice")
        if len({one.weekday for one in self.weekly}) < len(self.weekly):
            raise ValueError("weekday_twice")
        return self

    def impersonal(self, scope: Scope) -> CalendarFacts:
        """The same without free text: of the names of dates those of `REASONS`, and none of a guide's."""
        kept = frozenset[str]() if scope == "guide" else REASONS

        def bare(days: tuple[NamedDay, ...]) -> tuple[NamedDay, ...]:
            return tuple(day if day.name in kept else NamedDay(on=day.on) for day in days)

        return self.model_copy(update={"closed": bare(self.closed), "opened": bare(self.opened)})

    def in_order(self) -> CalendarFacts:
        """The same, sorted."""
        return self.model_copy(
            update={
                "weekdays": None if self.weekdays is None else tuple(sorted(set(self.weekdays))),
                "closed": tuple(sorted(self.closed, key=lambda one: one.on)),
                "opened": tuple(sorted(self.opened, key=lambda one: one.on)),
                "weekly": tuple(sorted(self.weekly, key=lambda one: one.weekday)),
                "dated": tuple(sorted(self.dated, key=lambda one: one.on)),
            }
        )


class StoreKnown(Frozen):
    """What the master data know of a store."""

    code: str
    zone: str
    region: str = ""
    hours: Hours
    last_on: date | None = None


class Said(Frozen):
    """What is said about one store: by the brand, its region, itself."""

    brand: CalendarFacts = CalendarFacts()
    region: CalendarFacts = CalendarFacts()
    store: CalendarFacts = CalendarFacts()


def country_of(zone: str, said: Said) -> str:
    """Whose public holidays a store keeps: the innermost that says so, else China's in Chinese zones, else nobody's."""
    for facts in (said.store, said.region, said.brand):
        if facts.country is not None:
            return facts.country
    return CHINA if zone in CHINESE_ZONES else NO_COUNTRY


def store_layers(known: StoreKnown, said: Said, national: Mapping[str, DayLayer]) -> Layers:
    """The layers of a store, without anybody's shifts.

    Args:
        known: the store's master data.
        said: what brand, region and store say.
        national: the table of each country that may be named.
    """
    layers = []
    country = country_of(known.zone, said)
    if country in national:
        layers.append(national[country])
    for name, subject, facts in (
        (LayerName.BRAND, "", said.brand),
        (LayerName.REGION, known.region, said.region),
        (LayerName.STORE, known.code, said.store),
    ):
        if facts.weekdays is not None or facts.closed or facts.opened:
            layers.append(
                DayLayer(
                    layer=name,
                    subject=subject,
                    weekdays=facts.weekdays or EVERY_WEEKDAY,
                    closed=facts.closed,
                    opened=facts.opened,
                )
            )
    hours = StoreHours(
        store=known.code,
        usual=known.hours,
        weekly=said.store.weekly,
        dated=said.store.dated,
        last_on=known.last_on,
    )
    return Layers(
        zone=known.zone,
        days=WorkingCalendar(tuple(layers)),
        store=hours,
        quiet=said.brand.quiet or QuietHours(),
    )


def of_guide(layers: Layers, guide: str, facts: CalendarFacts | None, leave: Leave | None) -> Layers:
    """A store's layers with a guide's shifts and leave as the innermost."""
    if facts is None and leave is None:
        return layers
    shifts = facts or CalendarFacts()
    off = tuple(DatedHours(on=day.on) for day in shifts.closed)
    hours = GuideHours(
        guide=guide,
        weekly=shifts.weekly,
        dated=(*off, *shifts.dated),
        leave=() if leave is None else (leave,),
    )
    return layers.model_copy(update={"guide": hours})
