"""Calendars as they stand: what brand, regions, stores and guides say, put together into layers.

Everything is read set-based: two round trips for any number of stores, three for any number of guides. National days
come from the pinned packages (`ledger/national_days.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

from domain.calendar import DayLayer, WorkingCalendar
from domain.calendar_facts import (
    NO_COUNTRY,
    Said,
    StoreKnown,
    country_of,
    of_guide,
    store_layers,
)
from domain.errors import NotFound, Problem
from domain.layers import Hours, Layers, Leave, QuietHours
from ledger.calendar_facts import facts_of
from ledger.door import Driver
from ledger.national_days import national_days

NO_STORE_ZONE = "Asia/Shanghai"
"""The clocks of a member without a home store."""
STORE_COLUMNS = """s.code AS store_code, s.time_zone AS store_zone, s.region AS store_region, s.opens_at AS store_opens,
s.closes_at AS store_closes, (SELECT x.last_on FROM store_closing x WHERE x.tenant_id = $1 AND x.store_id = s.store_id)
AS store_last_on"""
"""SQL: what `layers_of` needs of the store `s`, beside `said`."""
LAYERS_OF_STORE = """
(SELECT jsonb_object_agg(k.scope, k.facts)::text FROM calendar_layer k
 WHERE k.tenant_id = $1 AND (k.scope, k.subject) IN (('brand', ''), ('region', s.region), ('store', s.store_id::text)))"""
"""SQL: what is said about the store `s`, for `said_of`; null: nothing."""


@dataclass(frozen=True, slots=True)
class ZoneDays:
    """The different calendars of the stores of each zone."""

    calendars: Mapping[str, tuple[WorkingCalendar, ...]]

    def works(self, plan: WorkingCalendar, zone: str, day: date) -> bool:
        """Whether the plan works on the day in any store of the zone."""
        there = self.calendars.get(zone) or (WorkingCalendar(),)
        return any(plan.within(outer).is_working(day) for outer in there)


async def zone_days(
    connection: Driver, tenant_id: int, *, zone: str | None = None, guide: str | None = None
) -> ZoneDays:
    """The calendars of zones: of all stores, of one zone's, or of one guide's store. One round trip."""
    rows = await connection.fetch(
        f"""
        SELECT DISTINCT o.time_zone, o.said FROM (
            SELECT s.time_zone, {LAYERS_OF_STORE} AS said FROM store s
            WHERE s.tenant_id = $1 AND ($3::text IS NULL OR s.time_zone = $3)
              AND ($2::text IS NULL OR s.store_id = (SELECT g.store_id FROM guide g WHERE g.tenant_id = $1 AND g.code = $2))
        ) o ORDER BY 1, 2""",
        tenant_id,
        guide,
        zone,
    )
    found: dict[str, tuple[WorkingCalendar, ...]] = {}
    for row in rows:
        days = _store_days("", row["time_zone"], "", row["said"])
        found[row["time_zone"]] = (*found.get(row["time_zone"], ()), days)
    return ZoneDays(found)


async def days_of_guides(
    connection: Driver, tenant_id: int, plan: WorkingCalendar, guides: Iterable[UUID]
) -> dict[UUID, WorkingCalendar]:
    """A plan's working days where each guide stands. One round trip; guides of a store share one calendar."""
    rows = await connection.fetch(
        f"""
        SELECT array_agg(g.guide_id ORDER BY g.guide_id) AS guides, s.code, s.time_zone, s.region, {LAYERS_OF_STORE} AS said
        FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        WHERE g.tenant_id = $1 AND g.guide_id = ANY($2)
        GROUP BY s.tenant_id, s.store_id ORDER BY s.code""",
        tenant_id,
        sorted(frozenset(guides)),
    )
    found: dict[UUID, WorkingCalendar] = {}
    for row in rows:
        days = working_days(
            plan, code=row["code"], zone=row["time_zone"], region=row["region"], said=row["said"]
        )
        found |= dict.fromkeys(row["guides"], days)
    return found


@dataclass(frozen=True, slots=True)
class DaysOff:
    """Who gets no list on a day: guides on leave or without a shift, and stores closed to a plan."""

    guides: tuple[UUID, ...] = ()
    stores: tuple[tuple[str, UUID], ...] = ()
    """Plan and store."""


NOBODY_OFF = DaysOff()


async def days_off(
    connection: Driver, tenant_id: int, plans: Mapping[str, WorkingCalendar], *, day: date, zone: str
) -> DaysOff:
    """Who of a zone is off on a day. Two round trips, whatever the number of guides and plans."""
    guides = await guide_calendars(connection, tenant_id, zone=zone)
    stores = {one.store_id: one.layers for one in guides.values()}
    return DaysOff(
        guides=tuple(guide_id for guide_id, one in guides.items() if one.is_off(day)),
        stores=tuple(
            (plan, store_id)
            for plan, own in sorted(plans.items())
            for store_id, layers in stores.items()
            if not own.within(layers.days).is_working(day) or not (layers.store and layers.store.on(day))
        ),
    )


async def off_duty(connection: Driver, tenant_id: int, guides: Iterable[UUID], day: date) -> frozenset[UUID]:
    """Which of these guides are on leave or without a shift on a day. Two round trips."""
    known = await guide_calendars(connection, tenant_id, guides=guides)
    return frozenset(guide_id for guide_id, one in known.items() if one.is_off(day))


async def store_calendars(
    connection: Driver, tenant_id: int, *, stores: Iterable[UUID] | None = None, zone: str | None = None
) -> dict[UUID, Layers]:
    """The layers of stores (None: of all, or of all in a zone). One round trip."""
    rows = await connection.fetch(
        f"""
        SELECT s.store_id, {STORE_COLUMNS}, {LAYERS_OF_STORE} AS said FROM store s
        WHERE s.tenant_id = $1 AND ($2::uuid[] IS NULL OR s.store_id = ANY($2)) AND ($3::text IS NULL OR s.time_zone = $3)
        ORDER BY s.code""",
        tenant_id,
        None if stores is None else list(stores),
        zone,
    )
    return {row["store_id"]: layers_of(row) for row in rows}


@dataclass(frozen=True, slots=True)
class GuideCalendar:
    """A guide's layers, and her store's id."""

    code: str
    store_id: UUID
    layers: Layers

    def is_off(self, day: date) -> bool:
        """Whether she is on leave or has no shift that day."""
        return self.layers.guide is not None and not self.layers.guide.works(day)


async def guide_calendars(
    connection: Driver, tenant_id: int, *, guides: Iterable[UUID] | None = None, zone: str | None = None
) -> dict[UUID, GuideCalendar]:
    """The layers of guides (None: of all active ones, or of all in a zone). Two round trips.

    Guides of a store who say nothing of their own share its layers.
    """
    rows = await connection.fetch(
        """
        SELECT g.guide_id, g.code, g.store_id, g.on_leave_from, g.on_leave_to, k.facts::text AS facts
        FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        LEFT JOIN calendar_layer k ON k.tenant_id = $1 AND k.scope = 'guide' AND k.subject = g.guide_id::text
        WHERE g.tenant_id = $1 AND ($2::uuid[] IS NULL AND g.active OR g.guide_id = ANY($2))
          AND ($3::text IS NULL OR s.time_zone = $3) ORDER BY g.code""",
        tenant_id,
        None if guides is None else list(guides),
        zone,
    )
    stores = await store_calendars(connection, tenant_id, stores=frozenset(row["store_id"] for row in rows))
    found = {}
    for row in rows:
        layers = with_guide(stores[row["store_id"]], row)
        found[row["guide_id"]] = GuideCalendar(row["code"], row["store_id"], layers)
    return found


def with_guide(layers: Layers, row: Mapping[str, Any]) -> Layers:
    """A store's layers with a guide's on top, from a row with code, on_leave_from, on_leave_to and facts."""
    leave = None
    if row["on_leave_from"] is not None:
        leave = Leave(first=row["on_leave_from"], last=row["on_leave_to"])
    return of_guide(layers, row["code"], None if row["facts"] is None else facts_of(row["facts"]), leave)


def layers_of(row: Mapping[str, Any]) -> Layers:
    """The layers of a store from a row with `STORE_COLUMNS` and `said`; of nobody's store, what the brand says."""
    said = _said(row["said"])
    if row["store_code"] is None:
        return Layers(zone=NO_STORE_ZONE, quiet=said.brand.quiet or QuietHours())
    opens, closes = (row[name].replace(second=0, microsecond=0) for name in ("store_opens", "store_closes"))
    known = StoreKnown(
        code=row["store_code"],
        zone=row["store_zone"],
        region=row["store_region"],
        hours=Hours(opens=opens, closes=closes),
        last_on=row["store_last_on"],
    )
    return store_layers(known, said, national_of(known.zone, said))


def working_days(
    plan: WorkingCalendar, *, code: str, zone: str, region: str, said: str | None
) -> WorkingCalendar:
    """A plan's working days in a store, from what one query brings (`LAYERS_OF_STORE`)."""
    return plan.within(_store_days(code, zone, region, said))


@lru_cache(maxsize=4096)
def _store_days(code: str, zone: str, region: str, said: str | None) -> WorkingCalendar:
    facts = _said(said)
    known = StoreKnown(code=code, zone=zone, region=region, hours=_ANY_HOURS)
    return store_layers(known, facts, national_of(zone, facts)).days


def national_of(zone: str, said: Said) -> dict[str, DayLayer]:
    """The table of the country a store keeps; empty where there is none."""
    country = country_of(zone, said)
    found = None if country == NO_COUNTRY else national_days(country)
    return {} if found is None else {country: found}


_ANY_HOURS = Hours.model_validate({"opens": "00:00", "closes": "00:00"})


@lru_cache(maxsize=4096)
def _said(said: str | None) -> Said:
    return Said() if said is None else Said.model_validate_json(said)


async def calendar_named(
    connection: Driver, tenant_id: int, code: str, *, guide: bool | None = None
) -> Layers:
    """The layers of the store or the guide with this code (`guide`: which is meant; None: a store if there is one).

    Raises:
        NotFound: there is neither, or it is out of reach.
    """
    row = await connection.fetchrow(
        "SELECT (SELECT s.store_id FROM store s WHERE s.tenant_id = $1 AND s.code = $2 AND $3 IS NOT TRUE) AS store_id,"
        " (SELECT g.guide_id FROM guide g WHERE g.tenant_id = $1 AND g.code = $2 AND $3 IS NOT FALSE) AS guide_id",
        tenant_id,
        code,
        guide,
    )
    if row["store_id"] is not None:
        found = await store_calendars(connection, tenant_id, stores=[row["store_id"]])
        return found[row["store_id"]]
    if row["guide_id"] is not None:
        guides = await guide_calendars(connection, tenant_id, guides=[row["guide_id"]])
        if row["guide_id"] in guides:
            return guides[row["guide_id"]].layers
    raise NotFound(Problem("subject", code, "unknown_calendar_subject"))
