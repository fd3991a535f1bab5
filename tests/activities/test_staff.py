"""Organisation changes: guides are hired, transferred and leave, stores close; today, a few days back, or dated ahead."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from activities.asked import Asked
from activities.handing_over import settle_staff_changes
from activities.sessions import digest
from activities.staff import NewGuide, close_store, hire, leave, transfer
from activities.staff_answers import StaffChanged
from domain.calendar import business_date
from domain.errors import Refused
from domain.identifiers import personal_id
from domain.policy import Role
from infra.clock import now
from infra.worker_loops import run_staff_changes
from ledger.account_places import Grant
from ledger.asking import sign_on, standing_for_upkeep
from ledger.database import open_database
from ledger.ledger import Ledger
from ledger.report import UnassignedReason
from ledger.staff import apply_staff_changes, list_staff
from ledger.timeline import timeline
from tests.brand import SECRET, ZONE, Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.identities import identity

MARCH = date(2026, 3, 1)
CODES = {personal_id(SECRET, "member", code): code for code in ("M1", "M2", "M3", "M4", "N1")}


def on(day: int) -> date:
    return MARCH.replace(day=day)


def asked(when: datetime, key: str | None = None) -> Asked:
    return Asked(key, when, "account/hq")


def gid(code: str) -> UUID:
    return personal_id(SECRET, "guide", code)


def sid(code: str) -> UUID:
    return personal_id(SECRET, "store", code)


async def stands(brand: Brand, code: str) -> tuple[str, bool] | None:
    rows = await brand.rows(
        "SELECT s.code, g.active FROM guide g JOIN store s USING (tenant_id, store_id) WHERE g.code = $1",
        code,
    )
    return (rows[0][0], rows[0][1]) if rows else None


async def holders(brand: Brand) -> dict[str, str | None]:
    """Member code to the guide who looks after the member."""
    rows = await brand.rows(
        "SELECT m.member_id, g.code FROM plan_member m LEFT JOIN guide g USING (tenant_id, guide_id)"
    )
    return {CODES[row[0]]: row[1] for row in rows}


async def forget_answers(database: LedgerDatabase) -> None:
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute("SET session_replication_role = replica; DELETE FROM daogou.staff_answer")
    await connection.close()


async def items(brand: Brand) -> dict[str, int]:
    return dict(
        await brand.rows(
            "SELECT g.code, count(*) FROM task t JOIN guide g USING (tenant_id, guide_id)"
            " WHERE t.state = 'open' GROUP BY 1"
        )
    )


async def reach(served: Ledger, secret: str, when: datetime) -> tuple[set[UUID], set[UUID]] | None:
    """Guides an account sees and acts for, as its next request finds out; None: it is signed on no more."""
    async with standing_for_upkeep(served).connection() as connection:
        asker = await sign_on(connection, digest(secret), when)
    return None if asker is None else (set(asker.guides), set(asker.acts_for))


def codes(refused: pytest.ExceptionInfo[Refused]) -> list[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in refused.value.problems]


@pytest.fixture
async def two(brand: Brand) -> Brand:
    """S1 with G1, G2; S2 with G3. M1 to M4 at home in S1, N1 in S2; G1 served M1, M2 and N1, G2 the others."""
    await brand.open_store("S1")
    await brand.open_store("S2")
    for code, store in (("G1", "S1"), ("G2", "S1"), ("G3", "S2")):
        await brand.hire(code, store)
    await brand.join("M1", "M2", "M3", "M4")
    await brand.join("N1", store="S2")
    for code, guide in (("M1", "G1"), ("M2", "G1"), ("M3", "G2"), ("M4", "G2"), ("N1", "G1")):
        await brand.due_on(4, code, guide=gid(guide))
    await brand.start()
    assert await holders(brand) == {"M1": "G1", "M2": "G1", "N1": "G1", "M3": "G2", "M4": "G2"}
    return brand


async def test_who_is_hired_works_from_the_day_on_under_the_id_an_import_would_give(two: Brand) -> None:
    new = NewGuide("G9", "Li", "S2", phone="13812345678", from_on=on(5))
    told = await hire(two.ledger, new, asked(at(3, 12)))
    assert told == StaffChanged(first_on=on(5), in_force=False)
    assert await stands(two, "G9") == ("S2", False)
    assert await two.value("SELECT guide_id FROM guide WHERE code = 'G9'") == gid("G9")
    await settle_staff_changes(two.ledger, at(4, 23, 59))
    assert await stands(two, "G9") == ("S2", False)
    await settle_staff_changes(two.ledger, at(5, 0))
    assert await stands(two, "G9") == ("S2", True)
    written = await two.rows("SELECT body FROM event WHERE stream = $1", f"guide/{gid('G9')}")
    assert len(written) == 1
    async with two.ledger.connection() as connection:
        told_of = await timeline(connection, two.ledger.tenant_id, "guide", "G9")
    assert [entry.type for entry in told_of] == ["guide_hired"]
    assert not any(told in bytes(written[0][0]) for told in (b"Li", b"13812345678", b"G9"))


async def test_a_transfer_moves_only_the_members_at_home_in_the_store_she_comes_from(two: Brand) -> None:
    done = await two.task(personal_id(SECRET, "member", "M1"))
    await two.morning(4, gid("G1"))
    await two.report(done, gid("G1"), at(4, 10), "interested")
    told = await transfer(two.ledger, "G1", "S2", None, asked(at(4, 11)))
    assert told.in_force
    assert [(one.plan_id, one.members, one.tasks, dict(one.to)) for one in told.moves] == [
        ("p1", 2, 1, {"G2": 1})
    ]
    assert await holders(two) == {"M1": "G2", "M2": "G2", "N1": "G1", "M3": "G2", "M4": "G2"}
    assert await stands(two, "G1") == ("S2", True)
    assert await two.value("SELECT guide_id FROM check_in") == gid("G1"), "credit stays"
    assert await two.value("SELECT guide_id FROM task WHERE task_id = $1", done) == gid("G1")
    before = await two.everything()
    assert await settle_staff_changes(two.ledger, at(4, 12)) == 0
    assert await two.everything() == before


async def test_a_transfer_dated_ahead_comes_into_force_when_the_day_begins_in_the_stores_zone(
    two: Brand,
) -> None:
    await two.open_store("W1", zone="America/New_York")
    told = await transfer(two.ledger, "G1", "W1", on(6), asked(at(4)))
    assert not told.in_force
    assert [dict(one.to) for one in told.moves] == [{"G2": 2}], "what will move, as things stand"
    assert (await holders(two))["M1"] == "G1"
    await settle_staff_changes(two.ledger, at(6, 12))
    assert await stands(two, "G1") == ("S1", True), "it is still the 5th in New York"
    await settle_staff_changes(two.ledger, at(6, 13))
    assert await stands(two, "G1") == ("W1", True)
    assert (await holders(two))["M1"] == "G2"


async def test_who_leaves_hands_over_to_the_replacement_and_history_stays(two: Brand) -> None:
    told = await leave(two.ledger, "G1", on(3), "G3", asked(at(4)))
    assert told.in_force
    assert [(one.members, one.tasks, dict(one.to), one.unassigned) for one in told.moves] == [
        (3, 3, {"G3": 3}, ())
    ]
    assert await items(two) == {"G2": 2, "G3": 3}
    assert await stands(two, "G1") == ("S1", False)
    assert await two.value("SELECT count(*) FROM event WHERE type = 'plan_adjusted'") == 1, "the people lever"
    assert "G1" in await two.value("SELECT spec->'care'->>'without_guides' FROM plan")


async def test_without_a_replacement_the_plans_rule_decides_first_among_the_members_own_store(
    two: Brand,
) -> None:
    await leave(two.ledger, "G1", on(3), None, asked(at(4)))
    assert await holders(two) == {"M1": "G2", "M2": "G2", "N1": "G3", "M3": "G2", "M4": "G2"}


async def test_members_nobody_can_take_are_listed_and_their_items_expire(brand: Brand) -> None:
    await brand.open_store()
    await brand.hire("G1")
    await brand.hire("G2")
    await brand.due_on(4, "M1", "M2", "M3", "M4")
    await brand.start(plan(care={"members_per_guide": 2, "strategies": [{"strategy": "round_robin"}]}))
    told = await leave(brand.ledger, "G1", on(3), None, asked(at(4)))
    (moved,) = told.moves
    assert (moved.members, moved.tasks, len(moved.unassigned)) == (0, 0, 2)
    full = ("round_robin", "all_full")
    assert moved.reasons == (UnassignedReason((full, full), 2),), "in the home store, then anywhere"
    nobody = await brand.rows("SELECT member_id, why FROM plan_member WHERE guide_id IS NULL")
    assert {row[0] for row in nobody} == set(moved.unassigned)
    assert await brand.rows(
        "SELECT state, reason, count(*) FROM task WHERE state <> 'open' GROUP BY 1, 2"
    ) == [("expired", "no_guide", 2)]


async def test_a_dry_run_tells_what_would_move_and_writes_nothing(two: Brand) -> None:
    before = await two.everything()
    foreseen = await leave(two.ledger, "G1", on(3), "G3", asked(at(4)), dry_run=True)
    assert [dict(one.to) for one in foreseen.moves] == [{"G3": 3}]
    assert await two.everything() == before
    assert await two.value("SELECT count(*) FROM guide_posting") == 0
    done = await leave(two.ledger, "G1", on(3), "G3", asked(at(4)))
    assert done == foreseen


async def test_a_new_manager_reaches_the_guide_at_the_minute_the_day_begins_and_the_old_one_no_more(
    two: Brand, served: Ledger
) -> None:
    old = await identity(two.ledger, "old", Grant(Role.STORE_MANAGER, "S1"))
    new = await identity(two.ledger, "new", Grant(Role.STORE_MANAGER, "S2"))
    await transfer(two.ledger, "G1", "S2", on(6), asked(at(4)))
    for secret, mine in ((old, {gid("G1"), gid("G2")}), (new, {gid("G3")})):
        assert await reach(served, secret, at(5, 23, 59)) == (mine, mine)
    # Nothing but the requests themselves has run.
    hers = {gid("G1"), gid("G3")}
    assert await reach(served, new, at(6, 0)) == (hers, hers)
    # Known by name, for the days before are the old store's; whose rows, the rows say (tests/security).
    assert await reach(served, old, at(6, 0)) == ({gid("G1"), gid("G2")}, {gid("G2")})


async def test_who_leaves_is_signed_on_to_the_end_of_the_last_day_and_no_longer(
    two: Brand, served: Ledger
) -> None:
    token = await identity(two.ledger, "g1", Grant(Role.GUIDE), guide=gid("G1"))
    told = await leave(two.ledger, "G1", on(5), None, asked(at(4)))
    assert told.keeps_roles == ()
    mine = {gid("G1")}
    assert await reach(served, token, at(5, 23, 59)) == (mine, mine)
    assert await reach(served, token, at(6, 0)) is None
    assert await two.value("SELECT ends_at FROM role_grant") == at(6, 0)
    assert await two.value("SELECT count(*) FROM event WHERE type = 'role_ended'") == 1


async def test_a_leave_dated_back_revokes_from_the_next_request(two: Brand, served: Ledger) -> None:
    token = await identity(
        two.ledger, "g1", Grant(Role.GUIDE), Grant(Role.STORE_MANAGER, "S1"), guide=gid("G1")
    )
    assert await reach(served, token, at(4)) is not None
    told = await leave(two.ledger, "G1", on(2), None, asked(at(4, 9, 30)))
    assert told.keeps_roles == ("store_manager",), "told, for HQ to decide on"
    assert await reach(served, token, at(4, 9, 30)) is None


async def test_a_store_closes_only_without_guides_or_takes_them_along(two: Brand, served: Ledger) -> None:
    with pytest.raises(Refused) as refused:
        await close_store(two.ledger, "S1", on(9), None, asked(at(4)))
    assert [(one.code, one.params["guides"]) for one in refused.value.problems] == [
        ("store_has_guides", "G1, G2")
    ]
    manager = await identity(two.ledger, "new", Grant(Role.STORE_MANAGER, "S2"))
    told = await close_store(two.ledger, "S1", on(9), "S2", asked(at(4)))
    assert (told.guides, told.first_on, told.in_force) == (("G1", "G2"), on(10), False)
    assert [one for one in told.moves if one.members or one.tasks] == [], "guides and members go together"
    held = await holders(two)
    assert await reach(served, manager, at(10, 0)) == ({gid("G1"), gid("G2"), gid("G3")},) * 2
    await settle_staff_changes(two.ledger, at(10, 0))
    assert await holders(two) == held
    assert await two.rows("SELECT home_store_id, count(*) FROM member GROUP BY 1") == [(sid("S2"), 5)]
    with pytest.raises(Refused) as again:
        await transfer(two.ledger, "G3", "S1", on(11), asked(at(10)))
    assert codes(again) == [("store", "store_is_closed")]


async def test_members_of_a_store_that_closes_without_a_successor_stay_with_their_guide(two: Brand) -> None:
    for code in ("G1", "G2"):
        await transfer(two.ledger, code, "S2", on(10), asked(at(4)))
    await close_store(two.ledger, "S1", on(9), None, asked(at(4)))
    held = await holders(two)
    await settle_staff_changes(two.ledger, at(10, 1))
    assert await holders(two) == held


async def test_changes_ahead_count_when_the_next_one_is_decided(two: Brand) -> None:
    await hire(two.ledger, NewGuide("G9", "Li", "S1", from_on=on(9)), asked(at(4)))
    with pytest.raises(Refused) as early:
        await leave(two.ledger, "G9", on(8), None, asked(at(4)))
    assert codes(early) == [("last_on", "leaves_before_hired")]
    with pytest.raises(Refused) as closing:
        await close_store(two.ledger, "S1", on(6), "S2", asked(at(4)))
    assert closing.value.problems[0].params == {"guides": "G9"}
    await transfer(two.ledger, "G9", "S2", on(20), asked(at(4)))
    with pytest.raises(Refused) as order:
        await leave(two.ledger, "G9", on(15), None, asked(at(4)))
    assert codes(order) == [("last_on", "change_decided")]


async def in_los_angeles(two: Brand) -> None:
    await two.execute("UPDATE store SET time_zone = 'America/Los_Angeles' WHERE code = 'S2'")
    await two.open_store("S3")


async def test_of_two_changes_on_one_day_the_later_holds_whenever_it_begins_in_their_zones(
    two: Brand,
) -> None:
    """10 March begins fifteen hours earlier in Shanghai than in Los Angeles."""
    await in_los_angeles(two)
    await transfer(two.ledger, "G1", "S2", on(10), asked(at(4, 10)))
    await transfer(two.ledger, "G1", "S3", on(10), asked(at(4, 11)))
    async with two.ledger.connection() as connection:
        listed = await list_staff(connection, two.ledger.tenant_id, store="S1", after=None, limit=None)
    assert [(one.next_on, one.next_store) for one in listed if one.guide == "G1"] == [(on(10), "S3")]
    for when in (at(10, 0), at(10, 14), at(10, 16), at(11, 12)):
        await settle_staff_changes(two.ledger, when)
        assert await stands(two, "G1") == ("S3", True)
    # She never stood in S2: who is at home in S1 stays there, whoever she serves elsewhere she keeps.
    assert await holders(two) == {"M1": "G2", "M2": "G2", "N1": "G1", "M3": "G2", "M4": "G2"}
    with pytest.raises(Refused) as order:
        await leave(two.ledger, "G1", on(9), None, asked(at(11, 12)))
    assert codes(order) == [("last_on", "change_decided")]


async def test_who_is_sent_back_before_the_day_begins_keeps_everything(two: Brand) -> None:
    await in_los_angeles(two)
    before = await holders(two)
    await transfer(two.ledger, "G1", "S2", on(10), asked(at(4, 10)))
    told = await transfer(two.ledger, "G1", "S1", on(10), asked(at(4, 11)))
    assert told.moves == ()
    for when in (at(10, 0), at(10, 16)):
        await settle_staff_changes(two.ledger, when)
        assert (await stands(two, "G1"), await holders(two)) == (("S1", True), before)


async def test_who_leaves_on_the_day_of_a_transfer_hands_over_as_from_where_she_stands(two: Brand) -> None:
    await in_los_angeles(two)
    await transfer(two.ledger, "G1", "S2", on(10), asked(at(4, 10)))
    await leave(two.ledger, "G1", on(10), None, asked(at(4, 11)))
    await hire(two.ledger, NewGuide("G1", "Li", "S3", from_on=on(11)), asked(at(4, 12)))
    await settle_staff_changes(two.ledger, at(12, 12))
    assert await stands(two, "G1") == ("S3", True)


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (("transfer", "G8", "S2", None), [("guide", "unknown_guide")]),
        (("transfer", "G1", "S8", None), [("store", "unknown_store")]),
        (("transfer", "G1", "S1", None), [("store", "nothing_to_change")]),
        (("transfer", "G1", "S2", date(2026, 2, 24)), [("from_on", "too_long_ago")]),
        (("transfer", "G1", "S2", date(2027, 4, 1)), [("from_on", "too_far_ahead")]),
        (("leave", "G8", None, None), [("guide", "unknown_guide")]),
        (("leave", "G1", None, "G8"), [("replacement", "unknown_guide")]),
        (("leave", "G1", None, "G1"), [("replacement", "replacement_not_working")]),
        (("leave", "G1", date(2026, 2, 24), None), [("last_on", "too_long_ago")]),
        (("hire", "G1", "S1"), [("guide", "guide_exists")]),
        (("hire", "G9", "S8"), [("store", "unknown_store")]),
        (("close", "S8", None), [("store", "unknown_store")]),
        (("close", "S1", "S1"), [("to", "store_itself")]),
    ],
)
async def test_what_cannot_be_is_refused_by_field_and_changes_nothing(
    two: Brand, change: tuple[Any, ...], problems: list[tuple[str, str]]
) -> None:
    before = await two.everything()
    with pytest.raises(Refused) as refused:
        await decide(two, *change)
    assert codes(refused) == problems
    assert await two.everything() == before


async def decide(brand: Brand, what: str, *words: Any) -> StaffChanged:
    match what:
        case "transfer":
            return await transfer(brand.ledger, words[0], words[1], words[2], asked(at(4)))
        case "leave":
            return await leave(brand.ledger, words[0], words[1], words[2], asked(at(4)))
        case "hire":
            return await hire(brand.ledger, NewGuide(words[0], "Li", words[1]), asked(at(4)))
        case _:
            return await close_store(brand.ledger, words[0], None, words[1], asked(at(4)))


async def test_a_week_back_is_the_earliest(two: Brand) -> None:
    told = await transfer(two.ledger, "G1", "S2", date(2026, 2, 25), asked(at(4)))
    assert told.in_force


async def test_the_same_key_changes_once_and_another_content_under_it_is_refused(two: Brand) -> None:
    first = await leave(two.ledger, "G1", on(3), "G3", asked(at(4), "k1"))
    before = await two.everything()
    again = await leave(two.ledger, "G1", on(3), "G3", asked(at(5), "k1"))
    assert first.moves
    assert again == replace(first, duplicate=True)
    with pytest.raises(Refused) as refused:
        await leave(two.ledger, "G2", on(3), "G3", asked(at(5), "k1"))
    assert codes(refused) == [("Idempotency-Key", "key_used_otherwise")]
    assert await two.everything() == before


async def test_a_key_is_answered_as_it_was_first_whatever_moved_since(two: Brand) -> None:
    ahead = await leave(two.ledger, "G1", on(8), "G3", asked(at(4), "k1"))
    assert (ahead.in_force, bool(ahead.moves)) == (False, True)
    await settle_staff_changes(two.ledger, at(9))
    assert await leave(two.ledger, "G1", on(8), "G3", asked(at(10), "k1")) == replace(ahead, duplicate=True)
    closed = await close_store(two.ledger, "S1", None, "S2", asked(at(10), "k2"))
    assert await close_store(two.ledger, "S1", None, "S2", asked(at(11), "k2")) == replace(
        closed, duplicate=True
    )


async def test_who_ended_before_it_moved_anything_moves_it_when_asked_again(
    two: Brand, database: LedgerDatabase
) -> None:
    """The decision is committed, and the process dies: nothing was answered, and nothing has moved."""
    first = await leave(two.ledger, "G1", on(8), "G3", asked(at(4), "k1"))
    async with two.ledger.connection() as connection:
        await apply_staff_changes(connection, at(9))
    await forget_answers(database)
    again = await leave(two.ledger, "G1", on(8), "G3", asked(at(9), "k1"))
    assert (again.duplicate, again.in_force) == (True, True)
    assert [(one.members, one.tasks) for one in again.moves] == [
        (one.members, one.tasks) for one in first.moves
    ]
    assert await two.value("SELECT settled_at FROM guide_posting") == at(9)


async def test_who_comes_back_keeps_her_id_and_gets_nothing_taken_away_again(two: Brand) -> None:
    await leave(two.ledger, "G1", on(3), None, asked(at(4, 9)))
    told = await hire(two.ledger, NewGuide("G1", "Li", "S2"), asked(at(4, 9, 10)))
    assert told.in_force
    assert await stands(two, "G1") == ("S2", True)
    await leave(two.ledger, "G3", on(3), "G1", asked(at(4, 9, 20)))
    held = await holders(two)
    assert held["N1"] == "G1"
    await settle_staff_changes(two.ledger, at(4, 9, 30))
    assert await holders(two) == held


async def test_a_cycle_drawn_while_she_left_is_put_right_by_the_next_pass(two: Brand) -> None:
    await leave(two.ledger, "G1", on(3), None, asked(at(4)))
    # As if her members had been drawn for her in the same moment.
    await two.execute("UPDATE plan_member SET guide_id = $1 WHERE guide_id = $2", gid("G1"), gid("G3"))
    assert await settle_staff_changes(two.ledger, at(4, 9, 1)) == 1
    assert (await holders(two))["N1"] == "G3"


async def test_two_processes_that_settle_at_once_move_everything_once(two: Brand) -> None:
    await leave(two.ledger, "G1", on(5), None, asked(at(4)))
    await asyncio.gather(*(settle_staff_changes(two.ledger, at(6, 0)) for _ in range(4)))
    assert await holders(two) == {"M1": "G2", "M2": "G2", "N1": "G3", "M3": "G2", "M4": "G2"}
    moves = await two.value("SELECT count(*) FROM event WHERE type = 'task_reassigned'")
    assert moves == 3


async def test_a_workers_loop_puts_it_into_force_without_temporal(two: Brand) -> None:
    past = now() - timedelta(days=2)
    due = business_date(past, ZONE) + timedelta(days=1)
    told = await transfer(two.ledger, "G1", "S2", due, asked(past))
    assert not told.in_force
    loop = asyncio.create_task(run_staff_changes(two.ledger))
    try:
        async with asyncio.timeout(10):
            while await two.value("SELECT settled_at FROM guide_posting") is None:  # noqa: ASYNC110 - a row tells nobody
                await asyncio.sleep(0.05)
    finally:
        loop.cancel()
    assert await stands(two, "G1") == ("S2", True)
    assert (await holders(two))["M1"] == "G2"


async def on_phone(brand: Brand, token: str, store: str) -> None:
    """Make a token's credential one of a session on a store's phone."""
    await brand.execute(
        "INSERT INTO device (tenant_id, device_id, store_id, name, hash, bound_at) VALUES (1, $1, $2, 'till', $3, $4)",
        gid(store), sid(store), digest(f"phone of {store}"), at(1),
    )  # fmt: skip
    await brand.execute("UPDATE credential SET device_id = $1 WHERE hash = $2", gid(store), digest(token))


async def test_a_transferred_guide_is_signed_out_of_the_old_stores_phone_only(
    two: Brand, served: Ledger
) -> None:
    shared = await identity(two.ledger, "shared", Grant(Role.GUIDE), guide=gid("G1"))
    own = await identity(two.ledger, "own", Grant(Role.GUIDE), guide=gid("G1"))
    await on_phone(two, shared, "S1")
    await transfer(two.ledger, "G1", "S2", on(6), asked(at(4)))
    assert await reach(served, shared, at(5, 23, 59)) is not None
    assert await reach(served, shared, at(6, 0)) is None
    assert await reach(served, own, at(6, 0)) == ({gid("G1")}, {gid("G1")})


async def test_a_closed_stores_phones_are_bound_no_more(two: Brand, served: Ledger) -> None:
    manager = await identity(two.ledger, "manager", Grant(Role.STORE_MANAGER, "S1"))
    await on_phone(two, manager, "S1")
    await close_store(two.ledger, "S1", on(5), "S2", asked(at(4)))
    assert await reach(served, manager, at(5, 23, 59)) is not None
    assert await reach(served, manager, at(6, 0)) is None
    assert await two.value("SELECT ended_at FROM device") == at(6, 0)


async def test_another_brands_changes_are_left_alone(two: Brand, database: LedgerDatabase) -> None:
    await transfer(two.ledger, "G1", "S2", on(6), asked(at(4)))
    other = Ledger(open_database(database.worker_url, tenant_id=2, pool_size=1), 2)
    try:
        await settle_staff_changes(other, at(7))
        async with other.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM guide_posting") == 0
    finally:
        await other.engine.dispose()
    assert await two.value("SELECT applied_at FROM guide_posting") is None
