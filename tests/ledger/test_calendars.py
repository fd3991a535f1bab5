"""Calendars where they are used: due dates, lists, nudges, messages; stored as events, explained by the layers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.acting import launch_plan
from activities.asked import Asked
from activities.preview import preview_plan
from domain.calendar import NamedDay, local_instant
from domain.calendar_facts import CalendarFacts, Scope
from domain.contact_budget import Limits
from domain.errors import Refused
from domain.layers import DatedHours, Hours, QuietHours, WeekdayHours
from domain.permitted import Purpose, next_permitted
from imports.calendars import import_calendar
from imports.report import ImportReport, Kind
from infra.databases import ensure_tenant
from ledger.calendar_facts import hold_calendars, read_facts, write_facts
from ledger.calendars import calendar_named, guide_calendars
from ledger.calendars_then import say_then
from ledger.claims import claim, due_endpoints
from ledger.endpoints import add_endpoint
from ledger.folding.comparing import differences
from ledger.folding.rebuilding import owner, rebuild
from tests.brand import ZONE, Brand, at, plan
from tests.conftest import ID_SECRET, LedgerDatabase
from tests.shared_database import empty

DAY = Hours(opens=time(9), closes=time(21))


async def say(brand: Brand, scope: Scope, subject: object, **facts: object) -> frozenset[str]:
    async with brand.ledger.transaction() as connection:
        await hold_calendars(connection, 1)
        said = {str(subject): CalendarFacts.model_validate(facts)}
        return await write_facts(connection, 1, brand.command(), scope, said)


async def guide_of(brand: Brand, code: str = "G1") -> UUID:
    return UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = $1", code)))


async def store_of(brand: Brand, code: str = "S1") -> UUID:
    return UUID(str(await brand.value("SELECT store_id FROM store WHERE code = $1", code)))


async def lists(brand: Brand, day: int) -> int:
    return (await brand.dispatch.cut_lists(brand.day(day))).lists


# --- where they are used ------------------------------------------------------------------------------


async def test_an_item_due_on_a_closed_day_is_due_on_the_working_day_before(shop: Brand) -> None:
    await say(shop, "store", await store_of(shop), closed=[{"on": "2026-03-05"}, {"on": "2026-03-04"}])
    (member,) = await shop.due_on(5, "M1")
    await shop.start()
    assert (await shop.standing(await shop.task(member)))[2] == date(2026, 3, 3)


async def test_a_public_holiday_closes_a_store_unless_its_brand_works_through(shop: Brand) -> None:
    what = plan(period={"start": "2026-04-01", "working_days": 10})
    await shop.due_on(date(2026, 4, 6), "M1")
    await shop.start(what, when=at(date(2026, 4, 1), 8, 30))
    # 4 to 6 April 2026 are Qingming; the item moved to the day before, and on the holiday itself nobody has a list.
    assert await shop.value("SELECT due_on FROM task") == date(2026, 4, 3)
    step = shop.day(2).model_copy(update={"day": date(2026, 4, 5), "at": at(date(2026, 4, 5))})
    assert (await shop.dispatch.cut_lists(step)).lists == 0
    await say(shop, "brand", "", country="none")
    step = step.model_copy(update={"day": date(2026, 4, 6), "at": at(date(2026, 4, 6))})
    assert (await shop.dispatch.cut_lists(step)).lists == 1


async def test_what_nobody_reached_comes_again_on_the_next_day_that_is_worked(shop: Brand) -> None:
    await say(shop, "brand", "", closed=[{"on": "2026-03-03", "name": "盘点"}])
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    guide = await guide_of(shop)
    await shop.morning(2, guide)
    done = await shop.report(await shop.task(member), guide, at(2, 10), "no_answer")
    assert done.due_on == date(2026, 3, 4)


async def test_who_has_no_shift_that_day_gets_no_list(shop: Brand) -> None:
    guide = await guide_of(shop)
    monday = WeekdayHours(weekday=1, hours=(DAY,))
    await say(shop, "guide", guide, weekly=[monday], dated=[DatedHours(on=date(2026, 3, 3), hours=(DAY,))])
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start(plan(care={"items_per_day": 1}))
    assert [await lists(shop, day) for day in (2, 3, 4)] == [1, 1, 0]


async def test_a_guide_off_shift_is_not_nudged_and_one_at_work_is(shop: Brand) -> None:
    late = await shop.hire("G2")
    await say(
        shop, "guide", late, weekly=[WeekdayHours(weekday=1, hours=(Hours(opens=time(14), closes=time(21)),))]
    )
    await shop.due_on(2, "M1", "M2")
    await shop.start(plan(care={"strategies": [{"strategy": "round_robin"}]}))
    await shop.morning(2, await guide_of(shop), late)
    assert (await shop.reminders.nudge_guides(shop.day(2, 12, slot="12:00"))).guides == 1
    assert (await shop.reminders.nudge_guides(shop.day(2, 17, slot="17:00"))).guides == 2


# --- plan check ----------------------------------------------------------------------------------------


async def refused(brand: Brand, **changes: object) -> list[tuple[str, str]]:
    await brand.category("SOAP")
    with pytest.raises(Refused) as found:
        await launch_plan(brand.ledger, plan(**changes), Asked("a", at(1, 10), "hq"))
    with pytest.raises(Refused) as checked:
        await preview_plan(brand.ledger, plan(**changes), at=at(1, 10))
    assert checked.value.problems == found.value.problems
    return [(problem.field, problem.code) for problem in found.value.problems]


async def test_a_release_at_or_after_closing_is_refused(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    day = {"release": "21:00", "nudges": [], "close": "21:30"}
    assert await refused(shop, day=day) == [("day.release", "release_after_closing")]


async def test_a_slot_at_which_no_store_is_open_is_refused(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    day = {"release": "09:00", "nudges": ["12:00", "21:15"], "close": "21:30"}
    assert await refused(shop, day=day) == [("day.nudges.1", "nudge_outside_hours")]


async def test_a_day_that_lies_in_the_quiet_hours_is_refused_and_one_that_runs_into_them_is_told(
    shop: Brand,
) -> None:
    await shop.due_on(2, "M1")
    await shop.execute("UPDATE store SET opens_at = '07:00', closes_at = '23:59'")
    day = {"release": "22:30", "nudges": [], "close": "23:30"}
    assert await refused(shop, day=day) == [("day.release", "day_in_quiet_hours")]
    told = await preview_plan(shop.ledger, plan(day=day | {"release": "20:00"}), at=at(1, 10))
    assert [(note.field, note.code) for note in told.notes] == [("day.close", "close_in_quiet_hours")]


async def test_years_whose_holidays_are_not_announced_are_said_aloud(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.category("SOAP")
    far = plan(period={"start": "2032-12-30", "working_days": 5}, goal={"by": "2033-01-31"})
    told = await preview_plan(shop.ledger, far, at=at(1, 10))
    assert [(note.code, note.value, note.params["country"]) for note in told.notes] == [
        ("holidays_unknown", "2032", "CN"),
        ("holidays_unknown", "2033", "CN"),
    ]
    await say(shop, "brand", "", country="none")
    assert (await preview_plan(shop.ledger, far, at=at(1, 10))).notes == ()


# --- messages -------------------------------------------------------------------------------------------

CLOCK = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))
HALF_HOURS = st.integers(0, 3 * 24 * 2)
"""Of three days in which clocks may be changed, and in which a week or a month may end."""
BEGINS = {
    ZONE: date(2026, 2, 28),
    "America/New_York": date(2026, 3, 7),
    "Australia/Lord_Howe": date(2026, 4, 4),
}


@dataclass(frozen=True)
class Waiting:
    """A message to one of three members: her number, its kind, and whether it names the plan."""

    member: int
    kind: str
    of_plan: bool


@dataclass(frozen=True)
class Case:
    """Quiet hours, limits, what members say or have done to them when, what waits, and when the sender looks."""

    quiet: tuple[time, time]
    zone: str
    limits: Limits
    opts_out: tuple[int | None, ...]
    erased: tuple[int | None, ...]
    declines: tuple[int | None, ...]
    waiting: tuple[Waiting, ...]
    looks: tuple[int, ...]


SOMETIMES = st.tuples(*[st.none() | HALF_HOURS] * 3)
CASES = st.builds(
    Case,
    st.tuples(CLOCK, CLOCK).filter(lambda told: told[0] != told[1]),
    st.sampled_from(sorted(BEGINS)),
    st.lists(st.integers(1, 3), min_size=3, max_size=3).map(lambda told: Limits(*sorted(told))),
    SOMETIMES,
    SOMETIMES,
    SOMETIMES,
    # Whatever the kind says: what reaches a member is held to the rules of members.
    st.lists(
        st.builds(Waiting, st.integers(0, 2), st.sampled_from(["contact", "contact", "seal"]), st.booleans()),
        min_size=6,
        max_size=9,
    ).map(tuple),
    st.lists(HALF_HOURS, min_size=8, max_size=12, unique=True).map(lambda told: tuple(sorted(told))),
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=CASES)
async def test_no_message_ever_reaches_a_member_who_may_not_be_contacted_then(
    shared_database: LedgerDatabase, case: Case
) -> None:
    """In quiet hours, after an opt-out, an erasure or a D in its plan, beyond a limit: none; and none is held back."""
    await empty(shared_database)
    await ensure_tenant(shared_database.ledger, ID_SECRET)
    brand = Brand(shared_database.ledger)
    await brand.open_store(zone=case.zone)
    members = await brand.join("M1", "M2", "M3")
    quiet = QuietHours(begins=case.quiet[0], ends=case.quiet[1])
    await say(brand, "brand", "", quiet=quiet.model_dump())
    first = local_instant(BEGINS[case.zone], time(0), case.zone)
    await brand.execute(
        "INSERT INTO contact_limit (tenant_id, version, from_on, day, week, month, decided_at)"
        " VALUES (1, 1, '2026-01-01', $1, $2, $3, '2026-01-01')",
        case.limits.day, case.limits.week, case.limits.month,
    )  # fmt: skip
    for number, member in enumerate(members):
        opts_out = case.opts_out[number]
        await brand.execute(
            "INSERT INTO plan_member (tenant_id, plan_id, cycle, member_id, why, value_minor, quadrant)"
            " VALUES (1, 'p1', 1, $1, '', 0, 'key_value')",
            member,
        )
        await brand.execute(
            "UPDATE member SET opted_out_at = $2 WHERE member_id = $1",
            member,
            None if opts_out is None else first + timedelta(minutes=30 * opts_out),
        )
    endpoint = (
        await add_endpoint(
            brand.ledger,
            scope="brand",
            code="",
            kind="webhook",
            address="json://127.0.0.1:9/x",
            per_minute=60,
        )
    ).endpoint_id
    for number, message in enumerate(case.waiting):
        await brand.execute(
            "INSERT INTO outbox (tenant_id, purpose, kind, member_id, content, created_at, expires_at, endpoint_id, state)"
            " VALUES (1, $1, $2, $3, $4, $5, $6, $7, 'waiting')",
            f"to/{number}", message.kind, members[message.member],
            json.dumps({"text": "Hello", "anchor": "{}"} | ({"plan": "p1"} if message.of_plan else {})),
            first, first + timedelta(days=30), endpoint,
        )  # fmt: skip
    left = list(range(len(case.waiting)))
    days: dict[int, list[date]] = {0: [], 1: [], 2: []}
    for look in case.looks:
        now = first + timedelta(minutes=30 * look)
        await brand.execute(
            "UPDATE member SET erased_at = $1 WHERE member_id = ANY($2)", now, _by(case.erased, look, members)
        )
        await brand.execute(
            "UPDATE plan_member SET grade = 'D' WHERE member_id = ANY($1)",
            _by(case.declines, look, members),
        )
        due = await due_endpoints_now(brand, now)
        claimed = await claim(brand.ledger, endpoint_id=endpoint, token=f"t{look}", now=now) if due else None
        local = now.astimezone(ZoneInfo(case.zone))
        may = [
            number
            for number in left
            if not quiet.holds(local.time()) and _may(case, case.waiting[number], look, days, local.date())
        ]
        assert (None if claimed is None else claimed.purpose) == (f"to/{may[0]}" if may else None)
        if may:
            left.remove(may[0])
            days[case.waiting[may[0]].member].append(local.date())


def _by(told: tuple[int | None, ...], look: int, members: list[UUID]) -> list[UUID]:
    """Of whom it is so by then."""
    return [member for member, when in zip(members, told, strict=True) if when is not None and when <= look]


def _may(case: Case, message: Waiting, look: int, days: dict[int, list[date]], on: date) -> bool:
    stops = [case.opts_out, case.erased, *([case.declines] if message.of_plan else [])]
    if any((when := told[message.member]) is not None and when <= look for told in stops):
        return False
    had = days[message.member]
    week, month = on.isocalendar()[:2], (on.year, on.month)
    return (
        had.count(on) < case.limits.day
        and sum(one.isocalendar()[:2] == week for one in had) < case.limits.week
        and sum((one.year, one.month) == month for one in had) < case.limits.month
    )


async def due_endpoints_now(brand: Brand, now: datetime) -> bool:
    async with brand.ledger.connection() as connection:
        return bool(await due_endpoints(connection, 1, now))


async def test_a_member_erased_or_with_a_d_in_the_plan_is_not_contacted(shop: Brand) -> None:
    members = await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    endpoint = await add_endpoint(
        shop.ledger, scope="store", code="S1", kind="webhook", address="json://127.0.0.1:9/x", per_minute=60
    )
    for number, member in enumerate((members[0], UUID(int=1), members[2])):
        await shop.execute(
            "INSERT INTO outbox (tenant_id, purpose, kind, member_id, content, created_at, expires_at, endpoint_id, state)"
            " VALUES (1, $1, 'contact', $2, '{\"text\": \"Hello\", \"plan\": \"p1\"}', $3, $4, $5, 'waiting')",
            f"contact/{number}", member, at(2, 9), at(3, 9), endpoint.endpoint_id,
        )  # fmt: skip
    await shop.execute("UPDATE plan_member SET grade = 'D' WHERE member_id = $1", members[0])
    claimed = await claim(shop.ledger, endpoint_id=endpoint.endpoint_id, token="t", now=at(2, 12))  # noqa: S106
    assert claimed is not None
    assert claimed.purpose == "contact/2"
    assert await shop.rows("SELECT purpose, state, why FROM outbox WHERE state = 'expired' ORDER BY 1") == [
        ("contact/0", "expired", "graded_d"),
        ("contact/1", "expired", "member_gone"),
    ]


async def test_a_nudge_waits_for_the_guides_shift_and_says_why(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    guide = await guide_of(shop)
    await shop.morning(2, guide)
    endpoint = await add_endpoint(
        shop.ledger, scope="store", code="S1", kind="webhook", address="json://127.0.0.1:9/x", per_minute=60
    )
    assert (await shop.reminders.nudge_guides(shop.day(2, 12, slot="12:00"))).guides == 1
    await say(
        shop,
        "guide",
        guide,
        weekly=[WeekdayHours(weekday=1, hours=(Hours(opens=time(13), closes=time(21)),))],
    )
    number = endpoint.endpoint_id
    assert await claim(shop.ledger, endpoint_id=number, token="t1", now=at(2, 12, 5)) is None  # noqa: S106
    assert await shop.rows("SELECT state, why, not_before FROM outbox") == [
        ("waiting", "before_shift", at(2, 13))
    ]
    assert await claim(shop.ledger, endpoint_id=number, token="t2", now=at(2, 13)) is not None  # noqa: S106


# --- stored as events -------------------------------------------------------------------------------------


async def test_what_is_said_twice_is_one_event_and_the_projection_is_its_fold(
    shop: Brand, database: LedgerDatabase
) -> None:
    store = await store_of(shop)
    closed = [{"on": "2026-05-01", "name": "盘点"}]
    assert await say(shop, "store", store, closed=closed) == {str(store)}
    assert await say(shop, "store", store, closed=closed) == frozenset()
    assert await say(shop, "region", "华东/一区", weekdays=[1, 2, 3]) == {"华东/一区"}
    assert await say(shop, "store", store, closed=closed, weekdays=[1]) == {str(store)}
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'calendar_set'") == 3
    await shop.execute("UPDATE calendar_layer SET facts = '{}' WHERE scope = 'store'")
    async with shop.ledger.connection() as connection, connection.transaction(isolation="repeatable_read"):
        (wrong,) = [one async for one in differences(connection, 1)]
    assert (wrong.table, wrong.stream, wrong.columns) == (
        "calendar_layer",
        f"calendar/store/{store}",
        ("facts",),
    )
    async with owner(database.admin_url) as connection:
        await rebuild(connection, 1, only=("calendar_layer",))
    async with shop.ledger.connection() as connection:
        facts = await read_facts(connection, 1, "store")
    assert facts[str(store)].closed == (NamedDay(on=date(2026, 5, 1), name="盘点"),)


async def test_a_calendar_is_read_as_it_had_been_said(shop: Brand) -> None:
    store = str(await store_of(shop))
    for day, hour in ((3, 8), (4, 9)):
        async with shop.ledger.transaction() as connection:
            facts = CalendarFacts(closed=(NamedDay(on=date(2026, 3, day)),))
            await write_facts(connection, 1, shop.command("", at(1, hour)), "store", {store: facts})
    closed = {}
    for hour, minute in ((7, 0), (8, 30), (9, 30)):
        async with shop.ledger.transaction() as connection:
            await say_then(connection, 1, at(1, hour, minute))
            days = (await calendar_named(connection, 1, "S1")).days
        closed[hour] = [day for day in (3, 4) if not days.is_working(date(2026, 3, day))]
    assert closed == {7: [], 8: [3], 9: [4]}


# --- imports ----------------------------------------------------------------------------------------------


async def load(brand: Brand, kind: Kind, folder: Path, text: str, hour: int = 8) -> ImportReport:
    path = folder / f"{kind.value}.csv"
    await asyncio.to_thread(path.write_text, text, encoding="utf-8")
    return await import_calendar(
        brand.ledger, kind, path, known_at=at(1, hour), actor="hq", on_progress=lambda *_: None
    )


CALENDAR = """级别,编码,日期,截止日期,星期,营业,开门时间,关门时间,说明,国家,免打扰
品牌,,,,,,,,,中国,21:30-08:30
品牌,,2026-03-10,2026-03-11,,休息,,,盘点,,
大区,华东,2026-03-12,,,放假,,,团建,,
门店,S1,2026-03-31,,,,10:00,18:00,提前闭店,,
门店,S1,,,周日,休息,,,,,
门店,S1,2026-03-11,,,营业,,,,,
"""


async def test_a_file_in_chinese_says_days_hours_country_and_quiet_hours(shop: Brand, tmp_path: Path) -> None:
    await shop.execute("UPDATE store SET region = '华东'")
    report = await load(shop, Kind.CALENDAR, tmp_path, CALENDAR)
    assert (report.rows_read, report.rows_new, report.rows_bad) == (6, 6, 0), report.bad
    async with shop.ledger.connection() as connection:
        layers = await calendar_named(connection, 1, "S1")
    worked = {day: layers.days.is_working(date(2026, 3, day)) for day in (8, 10, 11, 12, 31)}
    assert worked == {8: False, 10: False, 11: True, 12: False, 31: True}
    found = next_permitted(at(31, 9), layers, Purpose.WORK)
    assert found.instant == at(31, 10)
    assert str(layers.quiet) == "21:30-08:30"
    again = await load(shop, Kind.CALENDAR, tmp_path, CALENDAR, 9)
    assert (again.rows_new, again.already_imported) == (0, True)


async def test_a_later_file_replaces_what_it_names_and_nothing_else(shop: Brand, tmp_path: Path) -> None:
    await load(shop, Kind.CALENDAR, tmp_path, CALENDAR.replace("大区,华东,2026-03-12,,,放假,,,团建,,\n", ""))
    await load(shop, Kind.CALENDAR, tmp_path, "scope,date,state\nbrand,2026-03-10,usual\n", 9)
    async with shop.ledger.connection() as connection:
        facts = (await read_facts(connection, 1, "brand"))[""]
    assert [day.on.day for day in facts.closed] == [11]
    assert (facts.country, str(facts.quiet)) == ("CN", "21:30-08:30")


async def test_shifts_may_be_split_and_days_off_named(shop: Brand, tmp_path: Path) -> None:
    text = (
        "guide,weekday,date,begins,ends,state\nG1,1,,9:00,12:00,\nG1,1,,14:00,18:00,\nG1,,2026-03-09,,,off\n"
    )
    report = await load(shop, Kind.SHIFTS, tmp_path, text)
    assert (report.rows_new, report.rows_bad) == (3, 0), report.bad
    guide = await guide_of(shop)
    async with shop.ledger.connection() as connection:
        layers = (await guide_calendars(connection, 1, guides=[guide]))[guide].layers
    assert next_permitted(at(2, 12, 30), layers, Purpose.WORK).instant == at(2, 14)
    assert next_permitted(at(2, 18), layers, Purpose.WORK).instant == at(16, 9)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("store,S9,2026-03-01,,closed,,,,", "subject"),
        ("store,S1,soon,,closed,,,,", "date"),
        ("store,S1,2026-03-01,,maybe,,,,", "state"),
        ("store,S1,2026-03-01,,,,,,", "state"),
        ("store,S1,2026-03-01,,open,9:00,,,", "closes_at"),
        ("brand,,2026-03-01,,open,9:00,18:00,,", "opens_at"),
        ("brand,,2026-03-01,Mon,open,,,,", "weekday"),
        ("brand,,,,,,,Narnia,", "country"),
        ("brand,,,,,,,,22:00", "quiet"),
        ("store,S1,,,,,,,22:00-08:00", "quiet"),
        ("planet,S1,2026-03-01,,closed,,,,", "scope"),
    ],
)
async def test_a_row_that_cannot_be_kept_keeps_everything_out(
    shop: Brand, tmp_path: Path, row: str, column: str
) -> None:
    head = "scope,subject,date,weekday,state,opens_at,closes_at,country,quiet\n"
    report = await load(shop, Kind.CALENDAR, tmp_path, f"{head}brand,,2026-03-02,,closed,,,,\n{row}\n")
    assert [(bad.line, bad.column) for bad in report.bad] == [(3, column)]
    assert report.refused
    assert await shop.value("SELECT count(*) FROM calendar_layer") == 0


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.SHIFTS, "guide,name,date,state\nG1,王芳,2026-03-02,off\n"),
        (Kind.SHIFTS, "工号,日期,状态,说明\nG1,2026-03-02,休,产假 王芳 13800001234\n"),
        (Kind.CALENDAR, "门店,日期,营业,说明\nS1,2026-03-02,休息,王芳 13800001234 请假\n"),
    ],
)
async def test_nobodys_name_and_no_reason_in_words_of_ones_own_gets_into_an_event(
    shop: Brand, tmp_path: Path, kind: Kind, text: str
) -> None:
    report = await load(shop, kind, tmp_path, text)
    assert (report.rows_new, report.rows_bad) == (1, 0)
    told = await shop.value("SELECT payload::text FROM event WHERE type = 'calendar_set'")
    kept = await shop.value("SELECT facts::text FROM calendar_layer")
    assert '"on": "2026-03-02"' in kept
    assert not [word for word in ("王芳", "13800001234", "产假") if word in told or word in kept]


async def test_free_text_handed_in_without_a_file_gets_into_no_event(shop: Brand) -> None:
    guide, store = await guide_of(shop), await store_of(shop)
    closed = [{"on": "2026-05-01", "name": "盘点"}, {"on": "2026-05-02", "name": "王芳"}]
    await say(shop, "guide", guide, closed=closed)
    await say(shop, "store", store, closed=closed)
    async with shop.ledger.connection() as connection:
        hers = (await read_facts(connection, 1, "guide"))[str(guide)]
        stores = (await read_facts(connection, 1, "store"))[str(store)]
    assert [day.name for day in hers.closed] == ["", ""]
    assert [day.name for day in stores.closed] == ["盘点", ""]


async def test_a_week_without_an_open_day_is_refused_even_where_files_make_it_up_together(
    shop: Brand, tmp_path: Path
) -> None:
    head = "store,weekday,state\n"
    working = "".join(f"S1,{weekday},closed\n" for weekday in range(1, 6))
    assert (await load(shop, Kind.CALENDAR, tmp_path, head + working)).rows_new == 5
    report = await load(shop, Kind.CALENDAR, tmp_path, f"{head}S1,6,closed\nS1,7,closed\n", 9)
    assert report.refused
    assert [(bad.line, bad.value, bad.code) for bad in report.bad] == [
        (2, "6", "import.never_open"),
        (3, "7", "import.never_open"),
    ]
    async with shop.ledger.connection() as connection:
        (facts,) = (await read_facts(connection, 1, "store")).values()
    assert facts.weekdays == (6, 7)
