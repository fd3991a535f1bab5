"""A small brand to practise on, and the playbook of a day that runs today. Everything of it is made up.

It goes in the way a brand's own files do (`imports/`). What was bought follows from the day of the first
seeding alone, so seeding again finds every row there. Reminders that were due stay due, so the plan of any
later day has a list for every guide too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl

from domain.calendar import business_date
from domain.errors import NotFound, Problem, Refused
from domain.identifiers import draw, personal_id
from imports.loading import import_frame
from imports.report import ImportReport, Kind, Tenant
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.plans import read_plan

SEED = 60
HOME_ZONE = "Asia/Shanghai"
MORNING_ZONES = ("America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Pacific/Auckland")
"""While stores in Shanghai are shut, it is morning or noon in one of these."""

OPENS, USUAL_RELEASE, USUAL_CLOSE, LATEST_CLOSE = time(7), time(9), time(21), time(23)
NUDGES = (time(12), time(17))
LAST_START = time(22)
"""An hour before the latest close: whoever starts by then can still work a list."""

STORES = (
    ("S1", "东门练习店", "市区", "", 31.2400, 121.5000),
    ("S2", "西门练习店", "市区", "练习经销商", 31.2000, 121.4000),
    ("S3", "北门练习店", "郊区", "练习经销商", 31.3000, 121.4500),
)
"""A region of two stores and a dealer of two others, so that either's reach shows what it ends at."""
GUIDE_NAMES = ("李芳", "王秀", "赵静", "陈敏", "周丽", "吴娟")
ITEMS_PER_DAY = 8
MEMBERS_PER_GUIDE = 9
FORMULA, COFFEE, TOYS = "奶粉 formula", "咖啡 coffee", "玩具 toys"
DAYS_PER_UNIT = {FORMULA: 7, COFFEE: 10}
LEAD_DAYS = 5

_DUE = (5, 6, 7, 8, 6, 5)
"""How many of the eight members each guide served are due; the ninth, nearby, always is; the tenth is not in the plan."""
_SERVED = ((FORMULA, 4, 3), (COFFEE, 3, 3), (FORMULA, 4, 1), (COFFEE, 2, 1),
           (FORMULA, 2, 4), (COFFEE, 3, 3), (FORMULA, 4, 3), (COFFEE, 3, 1))  # fmt: skip
"""What they buy: category, units a time, times. Each of the four value quadrants is among them."""
_NEARBY, _TOY_BUYER = (FORMULA, 4, 2), (TOYS, 1, 1)
_PRICE = {FORMULA: 19_800, COFFEE: 4_500, TOYS: 9_900}
_PRODUCT = {FORMULA: "P1", COFFEE: "P2", TOYS: "P3"}
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗", "芳娜敏静丽强磊洋艳勇军杰娟涛明超"

Why = Literal["here", "elsewhere", "standing", "over"]
"""Why the practice day is where and when it is: Shanghai's stores are open; they are shut; the brand stands there; its day is over."""


@dataclass(frozen=True, slots=True)
class PracticeDay:
    """The day of the playbook, in the stores' own time."""

    plan_id: str
    day: date
    zone: str
    release: time
    close: time
    at: datetime
    """The present, in that zone."""
    why: Why

    @property
    def mark(self) -> str:
        """The first line of a playbook of ours: by it one that is there already is known."""
        return f"# daogou seed: {self.plan_id} {self.day} {self.release:%H:%M}-{self.close:%H:%M} {self.zone}"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The brand as it stands; `changed` says whether any row of it is new."""

    today: PracticeDay
    imported: dict[Kind, ImportReport]
    launched: bool
    """Whether the plan of that name runs, or ran, already."""

    @property
    def changed(self) -> bool:
        """Whether any row is new."""
        return any(report.rows_new for report in self.imported.values())


async def seed_practice(ledger: Ledger, tenant: Tenant, *, at: datetime, actor: str) -> Seeded:
    """Make sure the practice brand is there; again changes nothing.

    Args:
        ledger: of a database that is empty or holds the practice brand.
        tenant: the brand and the secret of its ids.
        at: the present instant.
        actor: who asks for it.

    Raises:
        Refused: the database holds somebody's stores, guides or members; nothing is mixed with them.
    """
    async with ledger.connection() as connection:
        await _refuse_others(connection, tenant)
        standing = await connection.fetchrow(
            "SELECT s.time_zone, b.known_at FROM store s JOIN import_batch b USING (tenant_id, batch_id)"
            " WHERE s.tenant_id = $1 ORDER BY b.batch_id LIMIT 1",
            ledger.tenant_id,
        )
    zone = standing["time_zone"] if standing else zone_for(at)
    first_day = business_date(standing["known_at"] if standing else at, zone)
    imported = {
        kind: await import_frame(ledger.engine, tenant, kind, frame, known_at=at, actor=actor)
        for kind, frame in (
            (Kind.STORES, stores_frame(zone)),
            (Kind.GUIDES, guides_frame()),
            (Kind.MEMBERS, members_frame()),
            (Kind.PURCHASES, purchases_frame(first_day)),
        )
    }
    strange = [(kind.value, bad) for kind, report in imported.items() for bad in report.bad]
    if strange:
        raise ValueError(f"practice: the imports refuse our own rows: {strange[:3]}")
    planned = practice_day(at, zone, standing=standing is not None)
    async with ledger.connection() as connection:
        today, launched = await _as_launched(connection, ledger.tenant_id, planned)
    return Seeded(today, imported, launched)


def zone_for(at: datetime) -> str:
    """Shanghai while its stores have an hour or more left today, else where it is morning."""
    if OPENS <= _clock(at, HOME_ZONE) < LAST_START:
        return HOME_ZONE
    return min((_clock(at, zone), zone) for zone in MORNING_ZONES if _clock(at, zone) >= OPENS)[1]


def practice_day(at: datetime, zone: str, *, standing: bool) -> PracticeDay:
    """The day to practise: today while an hour or more of it is left, else tomorrow."""
    local = at.astimezone(ZoneInfo(zone))
    now, today = local.time(), local.date()
    early, late = OPENS <= now < USUAL_RELEASE, time(20) < now < LAST_START
    why: Why = "standing" if standing else "here" if zone == HOME_ZONE else "elsewhere"
    if now >= LAST_START:
        today, why = today + timedelta(days=1), "over"
    return PracticeDay(
        "practice",
        today,
        zone,
        release=OPENS if early else USUAL_RELEASE,
        close=LATEST_CLOSE if late else USUAL_CLOSE,
        at=local,
        why=why,
    )


def stores_frame(zone: str) -> pl.DataFrame:
    """Three stores of one zone, in two regions, two of them of a dealer."""
    frame = pl.DataFrame(
        STORES, schema=["code", "name", "region", "dealer", "latitude", "longitude"], orient="row"
    )
    return frame.with_columns(
        time_zone=pl.lit(zone), opens_at=pl.lit(f"{OPENS:%H:%M}"), closes_at=pl.lit(f"{LATEST_CLOSE:%H:%M}")
    )


def guides_frame() -> pl.DataFrame:
    """Two guides a store. Numbers that begin with 111 are nobody's."""
    rows = [
        (f"G{n}", name, f"1110000900{n}", STORES[(n - 1) // 2][0]) for n, name in enumerate(GUIDE_NAMES, 1)
    ]
    return pl.DataFrame(rows, schema=["code", "name", "phone", "store"], orient="row")


def members_frame() -> pl.DataFrame:
    """Ten members for each guide, at home near the guide's store."""
    rows = []
    for guide in range(len(GUIDE_NAMES)):
        store, *_, latitude, longitude = STORES[guide // 2]
        for place in range(10):
            number = 10 * guide + place + 1
            name = _drawn(_SURNAMES, "surname", number) + _drawn(_GIVEN, "given", number)
            north = round(latitude + 0.0005 * (number % 20 + 1), 5)
            rows.append((f"M{number:02}", name, f"111000000{number:02}", store, north, longitude))
    schema = ["code", "name", "phone", "store", "latitude", "longitude"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def purchases_frame(first_day: date) -> pl.DataFrame:
    """What they bought before `first_day`: 43 members run out by then or within the reminder's lead, 11 later."""
    rows = []
    for guide, due in enumerate(_DUE):
        for place, (category, units, times) in enumerate((*_SERVED, _NEARBY, _TOY_BUYER)):
            number = 10 * guide + place + 1
            lasts = units * DAYS_PER_UNIT.get(category, 20)
            is_due = place < due or place == len(_SERVED)
            runs_out = first_day + timedelta(days=LEAD_DAYS - place % 4 if is_due else LEAD_DAYS + 3 + place)
            for back in range(times, 0, -1):
                day = runs_out - timedelta(days=back * lasts)
                rows.append(
                    (
                        f"M{number:02}",
                        STORES[guide // 2][0],
                        f"{day} {10 + number % 9}:{number % 60:02}",
                        f"B{number:02}-{times - back + 1}",
                        _PRODUCT[category],
                        category,
                        units,
                        # A few fen less for each member, so that no two are worth the same and lists have one order.
                        f"{units * (_PRICE[category] - 10 * number) / 100:.2f}",
                        f"G{guide + 1}" if place != len(_SERVED) else None,
                    )
                )
    schema = ["member", "store", "occurred_at", "basket", "product", "category", "quantity", "value", "guide"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def playbook_text(today: PracticeDay) -> str:
    """The playbook, as a person would have written it."""
    nudges = ", ".join(f'"{at:%H:%M}"' for at in NUDGES if today.release < at < today.close)
    return f"""{today.mark}
# 练习计划：只有一天。改一改，再检查：daogou plan check / A plan of one day. Change it, check it again.
plan: {today.plan_id}
name: 练习：用量提醒的一天

period:
  start: {today.day}        # 门店所在时区的今天 / today where the stores are ({today.zone})
  working_days: 1
calendar:
  opened: [{today.day}]     # 这一天即使是法定假日也上班 / worked even if it is a public holiday

# 1. 哪些会员？ / Which members?
members:
  bought_categories: [{FORMULA}, {COFFEE}]
  within_days: 180

# 2. 谁来跟进？ / Who looks after them?
care:
  strategies:
    - strategy: reception        # 接待：谁接待过 / the guide who served the member
      prefer: most
    - strategy: proximity        # 就近：否则最近的、还有空位的导购 / else the nearest guide with room
      max_km: 10
  members_per_guide: {MEMBERS_PER_GUIDE}
  items_per_day: {ITEMS_PER_DAY}               # 每日容量 / capacity: cuts the list; the rest stays due

# 3. 什么目标？一个数字和一个日期 / What goal? A number and a date
goal:
  measure: completion_rate       # 跟踪完成率
  target: 60
  by: {today.day}

# 4. 用什么手段？ / By what means?
means:
  - kind: replenishment
    name: 用量提醒
    lead_days: {LEAD_DAYS}
    days_per_unit: {{{", ".join(f"{category}: {days}" for category, days in DAYS_PER_UNIT.items())}}}
    script: 您好，您上次买的快用完了吧？这周来店我给您留一份。

day:
  release: "{today.release:%H:%M}"
  nudges: [{nudges}]
  close: "{today.close:%H:%M}"
  open_items: carry_over
"""


async def _refuse_others(connection: Driver, tenant: Tenant) -> None:
    """Refuse a database with anything in it that is not ours."""
    tenant_id = tenant.tenant_id
    stores = await connection.fetch("SELECT code, name FROM store WHERE tenant_id = $1", tenant_id)
    guides = await connection.fetch("SELECT code FROM guide WHERE tenant_id = $1", tenant_id)
    members = await connection.fetch("SELECT member_id FROM member WHERE tenant_id = $1", tenant_id)
    ours = {(code, name) for code, name, *_ in STORES}
    strange = sorted(row["code"] for row in stores if (row["code"], row["name"]) not in ours)
    strange += sorted({row["code"] for row in guides} - set(guides_frame()["code"]))
    practised = {personal_id(tenant.id_secret, "member", code) for code in members_frame()["code"]}
    count = len({row["member_id"] for row in members} - practised)
    if strange or count:
        found = ", ".join(strange[:3]) + (" …" if len(strange) > 3 else "")
        raise Refused([Problem("stores", found, "not_for_practice", {"members": str(count)})])


async def _as_launched(connection: Driver, tenant_id: int, planned: PracticeDay) -> tuple[PracticeDay, bool]:
    """The day with the name and hours of its plan where one runs already; an earlier day's keeps its name."""
    for plan_id in (planned.plan_id, f"{planned.plan_id}-{planned.day:%m%d}"):
        named = replace(planned, plan_id=plan_id)
        try:
            plan = (await read_plan(connection, tenant_id, plan_id)).plan
        except NotFound:
            return named, False
        if plan.period.start == planned.day:
            return replace(named, release=plan.day.release, close=plan.day.close), True
    return named, True


def _clock(at: datetime, zone: str) -> time:
    return at.astimezone(ZoneInfo(zone)).time()


def _drawn(letters: str, kind: str, number: int) -> str:
    return letters[draw(SEED, kind, str(number), below=len(letters))]
