"""The evening: days counted as their closes and counts say, the same when asked again, and told to the store once."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.absence import tell_absent
from activities.asked import Asked
from activities.board_audience import EVERYBODY, When, Where
from activities.boards import Days
from activities.evening_boards import make_day_rates, make_day_summary, make_guide_score, make_score_sheet
from activities.evening_rules import set_score_rule
from domain.board import Board
from domain.board_span import Span
from domain.errors import Refused
from domain.rate import Rate
from infra.outbox_sender import send_due
from ledger.board_moment import Moment
from ledger.cases import Answer, answer_case
from ledger.claims import claim
from ledger.guide_day_figures import read_guide_days
from ledger.sequencer import sequence
from tests.brand import Brand, at, plan
from tests.channels.fakes import http_service
from tests.conftest import LedgerDatabase
from tests.histories import Step, steps
from tests.ledger.test_rebuild import lived
from tests.three_guides import hq

MONDAY = date(2026, 3, 2)
CHEAP = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BEGUN: list[Step] = [
    ("morning", 0, 0),
    ("report", 1, 0),
    ("evening", 0, 0),
    ("next_day", 0, 0),
    ("morning", 0, 0),
]
"""A day that closed, and a second one."""
KEPT = ("listed", "done", "reached", "carried", "late", "corrected", "version")


@CHEAP
@given(history=st.lists(steps, min_size=8, max_size=24))
async def test_of_any_history_a_closed_day_counts_what_its_newest_figures_say(
    shared_database: LedgerDatabase, history: list[Step]
) -> None:
    told = await lived(
        shared_database,
        [*BEGUN, *history, ("evening", 0, 0), ("late_report", 0, 0)],
    )
    brand = told.brand
    rows = await brand.rows(
        "SELECT guide_id, business_date, listed, done, reached, carried, late, corrected, figures_version FROM guide_day"
        " WHERE state = 'closed' ORDER BY guide_id, business_date"
    )
    span = Span(MONDAY, MONDAY + timedelta(days=30))
    async with brand.ledger.connection() as connection:
        guides = [row[0] for row in await brand.rows("SELECT guide_id FROM guide")]
        counted = await read_guide_days(connection, 1, guides, span, Moment(told.now + timedelta(days=40)))
    closed = {(one.guide_id, one.day): one for one in counted if one.version is not None}
    for guide, day, *kept in rows:
        one = closed.pop((guide, day))
        # A close does not say what was corrected on the day itself; its next count does.
        corrected = one.items.corrected if one.version != 1 else 0
        found = (
            one.items.listed, one.items.done, one.items.reached, one.carried, one.items.late, corrected, one.version,
        )  # fmt: skip
        assert dict(zip(KEPT, found, strict=True)) == dict(zip(KEPT, kept, strict=True)), (guide, day)
    assert rows
    assert closed == {}


def told(board: Board, *names: str) -> list[tuple[Any, ...]]:
    places = [[column.name for column in board.columns].index(name) for name in names]
    return [tuple(row[place] for place in places) for row in board.rows]


@pytest.fixture
async def guides(shop: Brand) -> dict[str, UUID]:
    """G1 and G2 of S1, G3 of S2, four members each; of a guide 4 calls and 2 invitations are asked."""
    await shop.open_store("S2")
    hired = {
        "G1": UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'"))),
        "G2": await shop.hire("G2"),
        "G3": await shop.hire("G3", "S2"),
    }
    await shop.execute(
        "INSERT INTO day_norm (tenant_id, calls, invitations, invitations_a_visit, changed_at, version)"
        " VALUES (1, 4, 2, 5, $1, 1)",
        at(1),
    )
    for code, guide in hired.items():
        await shop.due_on(2, *(f"{code}-{number}" for number in range(4)), guide=guide)
    await shop.start(plan(period={"working_days": 10}))
    await shop.morning(2, *hired.values())
    return hired


async def placed(brand: Brand) -> None:
    async with brand.ledger.connection() as connection:
        await sequence(connection, 1)


async def report(brand: Brand, guide: UUID, *outcomes: str, hour: int = 10) -> list[UUID]:
    """One outcome an item, in the order of her list; answers the items."""
    tasks = [await brand.task(member) for member in await brand.listed(2, guide)][: len(outcomes)]
    for minute, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True)):
        later = {"next_on": date(2026, 3, 4)} if outcome == "booked_visit" else {}
        await brand.report(task, guide, at(2, hour, minute), outcome, **later)
    return tasks


async def test_the_summary_says_what_was_done_what_is_left_and_where_each_is_weak(
    shop: Brand, guides: dict[str, UUID]
) -> None:
    await report(shop, guides["G1"], "booked_visit", "joined_group", "complaint")
    await report(shop, guides["G2"], "no_answer")
    await tell_absent(shop.ledger, "G3", hq(at(2, 12)))
    await shop.evening(2, guides["G1"])
    await placed(shop)
    board = await make_day_summary(shop.ledger, EVERYBODY, When(at(2, 22)))
    names = (
        "level", "code", "closed", "version", "listed", "done", "reached", "success", "booked", "joined", "carried",
        "complaints", "points", "most_points", "weak_stage",
    )  # fmt: skip
    # Of 4 calls 3 earn 37 of 50 points, 1 earns 12; of 2 invitations none: 0 of 30. Of who was absent nothing is asked.
    assert told(board, *names) == [
        ("store", "S1", False, None, 8, 4, 3, 2, 1, 1, None, 1, 49, 160, "invitations"),
        ("store", "S2", True, 1, 4, 0, 0, 0, 0, 0, 4, 0, 0, 0, "none"),
        ("guide", "G1", True, 1, 4, 3, 3, 2, 1, 1, 1, 1, 37, 80, "invitations"),
        ("guide", "G2", False, None, 4, 1, 0, 0, 0, 0, None, 0, 12, 80, "invitations"),
        ("guide", "G3", True, 1, 4, 0, 0, 0, 0, 0, 4, 0, 0, 0, "none"),
    ]
    assert board.total is not None
    assert dict(zip([one.name for one in board.columns], board.total, strict=True))["attempt_rate"] == Rate(
        4, 12
    )
    one_store = await make_day_summary(shop.ledger, EVERYBODY, When(at(2, 22)), where=Where(store="S2"))
    assert told(one_store, "code", "listed") == [("S2", 4), ("G3", 4)]


async def test_a_summary_asked_again_at_its_moment_is_the_same_and_a_late_fact_makes_a_new_version(
    shop: Brand, guides: dict[str, UUID]
) -> None:
    tasks = [await shop.task(member) for member in await shop.listed(2, guides["G1"])]
    told_at = {"known_at": at(2, 23)}
    await shop.report(tasks[0], guides["G1"], at(2, 10), "complaint", next_on=date(2026, 3, 3))
    await shop.evening(2, *guides.values())
    await placed(shop)
    before = await make_day_summary(shop.ledger, EVERYBODY, When(at(2, 22)))
    await shop.report(tasks[1], guides["G1"], at(2, 11), "booked_visit", next_on=date(2026, 3, 4), **told_at)
    await shop.report(tasks[2], guides["G1"], at(2, 12), "no_answer", **told_at)
    case = await shop.value("SELECT case_id FROM complaint_case")
    await answer_case(shop.ledger, shop.command("", at(3, 9, 10)), Answer(case, "explained"))
    await placed(shop)
    asked = When(at(3, 10), before.basis.at, before.basis.position)
    assert await make_day_summary(shop.ledger, EVERYBODY, asked, MONDAY) == before
    after = await make_day_summary(shop.ledger, EVERYBODY, When(at(3, 10)), MONDAY, where=Where(store="S1"))
    names = ("code", "version", "done", "reached", "success", "carried", "late", "complaints")
    assert told(before, *names)[2] == ("G1", 1, 1, 1, 0, 3, 0, 1)
    assert told(after, *names)[1] == ("G1", 3, 3, 2, 1, 1, 2, 0)


async def test_the_rule_of_a_day_is_the_one_in_force_on_it_and_one_told_later_changes_no_day_before(
    shop: Brand, guides: dict[str, UUID]
) -> None:
    await report(shop, guides["G1"], "interested", "no_answer")
    await placed(shop)
    before = await make_guide_score(shop.ledger, When(at(2, 20)), "G1")
    asked = Asked("k", at(2, 20), "hq")
    stands = await set_score_rule(shop.ledger, asked, {"reached": 4}, {"reached": 8}, None, "spring")
    assert (stands.day, stands.rules.score.reached, stands.rules.score_from) == (
        date(2026, 3, 3),
        4,
        stands.day,
    )
    again = await set_score_rule(shop.ledger, asked, {"reached": 4}, {"reached": 8}, None, "spring")
    assert (again, await shop.value("SELECT count(*) FROM evening_rule")) == (stands, 1)
    with pytest.raises(Refused) as refused:
        await set_score_rule(shop.ledger, Asked("l", at(2, 20), "hq"), {"reached": 4}, {}, MONDAY, "spring")
    assert [one.code for one in refused.value.problems] == ["rule_of_the_past"]
    monday = await make_guide_score(shop.ledger, When(at(3, 20)), "G1", MONDAY)
    assert told(monday, "stage", "target", "points") == told(before, "stage", "target", "points")
    assert monday.title == {
        "guide": "G1", "day": "2026-03-02", "points": "25", "most": "80", "day_stages": "invitations",
    }  # fmt: skip
    await shop.evening(2, *guides.values())
    await shop.morning(3, *guides.values())
    (task, *_) = [await shop.task(member) for member in await shop.listed(3, guides["G1"])]
    await shop.report(task, guides["G1"], at(3, 10), "interested")
    await placed(shop)
    names = ("stage", "count", "target", "share", "points", "most_points", "weak")
    assert told(await make_guide_score(shop.ledger, When(at(3, 20)), "G1"), *names) == [
        ("calls", 1, 4, Rate(1, 4), 12, 50, False),
        ("invitations", 0, 2, Rate(0, 2), 0, 30, True),
        ("reached", 1, 4, Rate(1, 4), 2, 8, False),
        ("success", 0, None, Rate(0, 0), 0, 0, False),
    ]
    sheet = await make_score_sheet(shop.ledger, EVERYBODY, When(at(3, 20)))
    assert told(sheet, "guide", *names)[:1] == [("G1", "calls", 1, 4, Rate(1, 4), 12, 50, False)]


async def test_rates_per_day_by_plan_count_items_with_their_counts(
    shop: Brand, guides: dict[str, UUID]
) -> None:
    await report(shop, guides["G1"], "booked_visit", "interested", "no_answer")
    await shop.evening(2, *guides.values())
    await shop.morning(3, *guides.values())
    await placed(shop)
    board = await make_day_rates(
        shop.ledger,
        EVERYBODY,
        When(at(3, 20)),
        Days(since=MONDAY, until=date(2026, 3, 3)),
        where=Where(store="S1"),
    )
    names = ("day", "plan", "listed", "attempt_rate", "completion_rate", "day_success_rate")
    # Nobody answered: the item is on Tuesday's list again, an item more and the same member.
    assert told(board, *names) == [
        (MONDAY, "p1", 8, Rate(3, 8), Rate(2, 8), Rate(1, 2)),
        (date(2026, 3, 3), "p1", 6, Rate(0, 6), Rate(0, 6), Rate(0, 0)),
    ]
    assert "items_not_members" in board.notes


async def channel(brand: Brand, *stores: str) -> None:
    for number, store in enumerate(stores, 1):
        await brand.execute(
            "INSERT INTO endpoint (tenant_id, endpoint_id, scope, code, kind, address, per_minute)"
            " VALUES (1, $1, 'store', $2, 'webhook', 'json://127.0.0.1/', 20)",
            number, store,
        )  # fmt: skip


async def test_a_store_is_told_once_when_its_last_list_closes_whoever_closes_at_once(
    shop: Brand, guides: dict[str, UUID]
) -> None:
    await channel(shop, "S1")
    await report(shop, guides["G1"], "interested")
    await shop.evening(2, guides["G3"])
    assert await shop.value("SELECT count(*) FROM outbox") == 0
    close = shop.dispatch.close_day
    await asyncio.gather(*(close(shop.guide_day(guides[code], 2, 21)) for code in ("G1", "G2", "G1", "G2")))
    ((purpose, kind, told_of),) = await shop.rows("SELECT purpose, kind, content::text FROM outbox")
    assert (purpose, kind) == ("day_summary/S1/2026-03-02/2", "day_summary")
    assert json.loads(told_of) == {
        "date": "2026-03-02", "slot": "21:00", "place": "S1", "version": 2, "guides": 2, "listed": 8, "done": 1,
        "reached": 1, "carried": 7, "late": 0,
    }  # fmt: skip
    late = await shop.task((await shop.listed(2, guides["G1"]))[1])
    await shop.report(late, guides["G1"], at(2, 12), "came", known_at=at(2, 22))  # a new version of the day
    await shop.evening(2, *guides.values())
    assert await shop.value("SELECT count(*) FROM outbox") == 1
    with http_service() as service:
        await shop.execute("UPDATE endpoint SET address = $1", f"json://127.0.0.1:{service.port}/")
        for _ in range(2):
            await send_due(shop.ledger, now=lambda: at(2, 22), language="en")
    (text,) = service.texts
    assert (
        "2026-03-02 S1 (closed at 21:00, version 2): 2 guides, 8 items listed, 1 done, 1 reached, 7 carried"
        in text
    )
    assert "G1" not in text


async def test_who_is_absent_closes_no_store_and_word_that_comes_too_late_is_not_sent(
    shop: Brand, guides: dict[str, UUID]
) -> None:
    await channel(shop, "S1", "S2")
    await tell_absent(shop.ledger, "G3", hq(at(2, 10)))
    await shop.evening(2, guides["G1"], guides["G2"])
    assert await shop.rows("SELECT purpose FROM outbox") == [("day_summary/S1/2026-03-02/2",)]
    assert await claim(shop.ledger, endpoint_id=1, token="", now=at(3, 9, 1)) is None
    assert await shop.rows("SELECT state, why FROM outbox") == [("expired", "too_late")]
