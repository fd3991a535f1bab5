"""Consents and what follows from them; a member handed out; a member erased while every figure stays."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from activities.asked import Asked
from activities.members import ConsentSet, consents_of, erase_again, erase_member, export_member, set_consent
from domain.consent import Purpose, Source
from domain.errors import NotFound, Refused
from domain.messages import PlanStep
from imports.loading import import_frame
from imports.masters import load_masters, sealed_members
from imports.report import ImportReport, Kind, Tenant
from infra.key_store import SqliteKeys
from ledger.consents import Heard
from ledger.sequencer import sequence
from ledger.verify import verify
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.recounted import recount, stored_rows

SALT = b"0123456789abcdef"
OPTED_OUT = "SELECT opted_out_at FROM member WHERE member_id = member_id_of($1)"


@pytest.fixture
async def guide(shop: Brand) -> UUID:
    """G1, with M1 to M3 on Monday's list."""
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start(plan(period={"working_days": 5, "cycles": 2}))
    found = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, found)
    return found


def asked(when: datetime, key: str | None = None) -> Asked:
    return Asked(key, when, "hq")


async def hear(
    shop: Brand, when: datetime, *, given: bool, purpose: Purpose = Purpose.CONTACT, **more: object
) -> ConsentSet:
    heard = Heard(purpose, given, Source(str(more.pop("source", "phone"))), str(more.pop("reason", "")))
    return await set_consent(shop.ledger, "M1", heard, asked(when), **more)  # type: ignore[arg-type]


async def item_of(shop: Brand, code: str) -> UUID:
    return UUID(str(await shop.value("SELECT task_id FROM task WHERE member_id = member_id_of($1)", code)))


async def states(shop: Brand) -> list[tuple[str, str | None]]:
    rows = await shop.rows(
        "SELECT state, reason FROM task ORDER BY member_id = member_id_of('M1') DESC, task_id"
    )
    return [(row[0], row[1]) for row in rows]


async def load(shop: Brand, kind: Kind, when: datetime, **columns: list[str]) -> ImportReport:
    tenant = Tenant(1, shop.secret, shop.ledger.keys)
    return await import_frame(
        shop.ledger.engine, tenant, kind, pl.DataFrame(columns), known_at=when, actor="hq"
    )


# --- consents ----------------------------------------------------------------------------------------------


async def test_the_database_derives_a_members_id_as_the_domain_does(shop: Brand) -> None:
    for code in ("M1", "会员 7", "x" * 200, "it's\u00a0one"):
        (member,) = await shop.join(code)
        assert await shop.value("SELECT member_id_of($1)", code) == member


async def test_contact_taken_back_takes_open_items_off_at_once(shop: Brand, guide: UUID) -> None:
    done = await hear(shop, at(2, 10), given=False)
    assert done.items == 1
    assert await states(shop) == [("withdrawn", "do_not_contact"), ("open", None), ("open", None)]
    assert await shop.value(OPTED_OUT, "M1") == at(2, 10)
    with pytest.raises(Refused, match="member_opted_out"):
        await shop.report(await item_of(shop, "M1"), guide, at(2, 11), "interested")


async def test_an_opt_out_is_lifted_by_the_member_and_by_a_manager_with_a_reason_only(
    shop: Brand, guide: UUID
) -> None:
    await hear(shop, at(2, 10), given=False)
    with pytest.raises(Refused, match="reason_of_manager_missing"):
        await hear(shop, at(2, 11), given=True, source="manager")
    assert await shop.value(OPTED_OUT, "M1") == at(2, 10)
    await hear(shop, at(2, 12), given=True, source="manager", reason="asked for it in the store")
    assert await shop.value(OPTED_OUT, "M1") is None
    events = await shop.rows(
        "SELECT type, payload::text FROM event WHERE stream LIKE 'member/%' ORDER BY version"
    )
    assert [kind for kind, _ in events] == ["consent_withdrawn", "consent_given"]
    assert "asked for it" not in str(events)


async def test_what_was_said_later_holds_whenever_it_becomes_known(shop: Brand, guide: UUID) -> None:
    await hear(shop, at(3, 10), given=True)
    done = await hear(shop, at(3, 11), given=False, occurred_at=at(2, 9))
    assert done.items == 0
    assert await shop.value(OPTED_OUT, "M1") is None
    with pytest.raises(Refused, match="occurred_in_future"):
        await hear(shop, at(3, 12), given=False, occurred_at=at(4, 9))


async def test_the_same_request_again_changes_nothing(shop: Brand, guide: UUID) -> None:
    heard = Heard(Purpose.PHONE, given=False, source=Source.FORM)
    first = await set_consent(shop.ledger, "M1", heard, asked(at(2, 10), "k1"))
    again = await set_consent(shop.ledger, "M1", heard, asked(at(2, 10), "k1"))
    assert (first.duplicate, again.duplicate, len(again.consents)) == (False, True, 1)


async def test_a_call_after_the_phone_was_taken_back_is_kept_and_stands_out(shop: Brand, guide: UUID) -> None:
    await hear(shop, at(2, 10), given=False, purpose=Purpose.PHONE)
    item = await item_of(shop, "M1")
    await shop.report(item, guide, at(2, 11), "booked_visit", next_on=at(3).date())
    await shop.morning(3, guide)
    await shop.report(item, guide, at(3, 11), "came", channel="in_store")
    assert await shop.rows("SELECT channel, conflict FROM check_in ORDER BY occurred_at") == [
        ("phone", "phone_withdrawn"),
        ("in_store", None),
    ]


async def test_an_opt_out_of_a_file_is_a_consent_taken_back_and_ends_with_an_opt_in(shop: Brand) -> None:
    await shop.join("M1")
    await load(shop, Kind.MEMBERS, at(2), code=["M1"], opted_out_at=["2026-03-01T08:00:00+08:00"])
    (taken_back,) = await consents_of(shop.ledger, "M1")
    assert (taken_back.given, taken_back.source, taken_back.occurred_at) == (False, Source.IMPORT, at(1, 8))
    await hear(shop, at(3), given=True)
    await load(shop, Kind.MEMBERS, at(4), code=["M1"], opted_out_at=["2026-03-01T08:00:00+08:00"])
    assert await shop.value(OPTED_OUT, "M1") is None, "the file told of before the member opted in again"
    await load(shop, Kind.MEMBERS, at(5), code=["M1"], opted_out_at=["2026-03-04T08:00:00+08:00"])
    assert await shop.value(OPTED_OUT, "M1") == at(4, 8)


# --- export ------------------------------------------------------------------------------------------------


async def test_an_export_holds_everything_and_is_itself_an_event(shop: Brand, guide: UUID) -> None:
    item = await item_of(shop, "M1")
    await shop.report(item, guide, at(2, 10), "interested", note="喜欢二段奶粉", salt=SALT, products=("TIN",))
    await hear(shop, at(2, 11), given=True, purpose=Purpose.WECOM)
    told = await export_member(shop.ledger, "M1", asked(at(2, 12)))
    assert (told["member"]["code"], told["member"]["name"], told["member"]["phone"]) == (
        "M1",
        "Wang M1",
        "13800001234",
    )
    assert [one["note"] for one in told["check_ins"]] == ["喜欢二段奶粉"]
    assert [one["purpose"] for one in told["consents"]] == ["wecom"]
    assert [one["category"] for one in told["purchases"]] == ["TIN"]
    assert [(one["plan"], one["guide"], one["why"]) for one in told["assignments"]] == [
        ("p1", "G1", told["assignments"][0]["why"])
    ]
    assert [one["state"] for one in told["items"]] == ["done"]
    types = [one["type"] for one in told["events"]]
    assert sorted(types) == [
        "checked_in", "consent_given", "member_assigned", "member_exported", "task_created",
    ]  # fmt: skip
    assert "M2" not in str(told)
    with pytest.raises(NotFound):
        await export_member(shop.ledger, "M9", asked(at(2, 12)))


# --- erasure -----------------------------------------------------------------------------------------------


async def test_erasing_leaves_nothing_personal_and_every_figure(
    shop: Brand, guide: UUID, database: LedgerDatabase
) -> None:
    """M1 was reached and bought: it counts for ever. M2 is open and untouched: withdrawn, as domain.md has it."""
    first, second = [UUID(str(await shop.value("SELECT member_id_of($1)", code))) for code in ("M1", "M2")]
    await shop.report(await item_of(shop, "M1"), guide, at(2, 10), "interested", note="喜欢", salt=SALT)
    await shop.buy(first, at(3, 10), guide=guide)
    await erase_member(shop.ledger, "M1", "asked", asked(at(4)))
    erased = await erase_member(shop.ledger, "M2", "asked", asked(at(4)))
    assert erased.items == 1
    assert await shop.rows("SELECT state, reason FROM task WHERE member_id = $1", second) == [
        ("withdrawn", "erased")
    ]
    assert await shop.rows(
        "SELECT count(*) FROM member_person WHERE member_id = ANY($1)", [first, second]
    ) == [(0,)]
    assert await shop.value("SELECT count(*) FROM member_note") == 0
    assert await shop.ledger.keys.get_many([first, second]) == {}
    events = await shop.rows("SELECT payload::text FROM event WHERE type = 'member_erased'")
    assert sorted(events) == sorted((f'{{"member": "{member}"}}',) for member in (first, second))

    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
        assert (await verify(connection, 1)).ok
    await shop.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 5), rehearsal=True))
    await shop.review.settle_cycles(PlanStep(plan_id="p1", cycle=1, at=at(25), rehearsal=True))
    counted = await recount(database.admin_url, "p1", 1, "settled")
    stored = await stored_rows(database.admin_url, "p1", 1, "settled")
    assert {name: counted[name] for name in stored} == stored
    assert list(stored["guides"].values()) == [[2, 1, 1, 100_00]], "due: M1 and M3; M1 was reached and bought"


async def test_a_check_that_is_counted_stays_what_it_was(
    shop: Brand, guide: UUID, database: LedgerDatabase
) -> None:
    await shop.report(await item_of(shop, "M1"), guide, at(2, 10), "interested")
    await shop.evening(2, guide)
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
    await shop.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 5), rehearsal=True))
    await shop.review.act_on_check(PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 6), rehearsal=True))
    before = await recount(database.admin_url, "p1", 1, "provisional")
    document = await shop.value("SELECT figures::text FROM plan_check")
    for code in ("M1", "M2", "M3"):
        await erase_member(shop.ledger, code, "asked", asked(at(7)))
    assert await recount(database.admin_url, "p1", 1, "provisional") == before
    assert await shop.value("SELECT figures::text FROM plan_check") == document
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
        assert (await verify(connection, 1)).ok


async def test_an_erased_member_is_not_found_and_erasing_again_changes_nothing(
    shop: Brand, guide: UUID
) -> None:
    await erase_member(shop.ledger, "M1", "asked", asked(at(2, 10)))
    again = await erase_member(shop.ledger, "M1", "asked again", asked(at(3)))
    assert (again.duplicate, again.items, again.erased_at) == (True, 0, at(2, 10))
    for lost in (
        consents_of(shop.ledger, "M1"),
        export_member(shop.ledger, "M1", asked(at(3))),
        hear(shop, at(3), given=True),
    ):
        with pytest.raises(NotFound):
            await lost
    with pytest.raises(Refused, match="empty"):
        await erase_member(shop.ledger, "M2", " ", asked(at(3)))


async def test_an_erased_member_is_never_selected_again(shop: Brand, guide: UUID) -> None:
    await erase_member(shop.ledger, "M1", "asked", asked(at(2, 10)))
    await shop.start(plan(plan="p2"), when=at(2, 12))
    member = await shop.value("SELECT member_id_of('M1')")
    assert (
        await shop.value("SELECT count(*) FROM plan_member WHERE plan_id = 'p2' AND member_id = $1", member)
        == 0
    )
    assert await shop.value("SELECT count(*) FROM plan_member WHERE plan_id = 'p2'") == 2


async def test_a_file_that_brings_an_erased_member_again_is_taken_without_it(
    shop: Brand, guide: UUID
) -> None:
    await erase_member(shop.ledger, "M1", "asked", asked(at(2, 10)))
    report = await load(shop, Kind.MEMBERS, at(3), code=["M1", "M7"], name=["Wang", "Li"], tags=["a", "b"])
    assert (report.rows_new, report.rows_erased, report.refused) == (1, 1, False)
    member = UUID(str(await shop.value("SELECT member_id_of('M1')")))
    assert await shop.value("SELECT tags FROM member WHERE member_id = $1", member) == []
    assert await shop.ledger.keys.get_many([member]) == {}
    bought = await load(
        shop, Kind.PURCHASES, at(3), member=["M1", "M7"], store=["S1"] * 2, occurred_at=["2026-03-02 12:00"] * 2,
        basket=["x1", "x2"], product=["P"] * 2, category=["TIN"] * 2, quantity=["1"] * 2, value=["10"] * 2,
    )  # fmt: skip
    assert (bought.rows_new, bought.rows_erased) == (1, 1)
    assert await shop.value("SELECT count(*) FROM purchase WHERE basket = 'x1'") == 0


async def test_a_file_brings_no_erased_member_back_though_the_key_store_was_lost(
    shop: Brand, guide: UUID, tmp_path: Path
) -> None:
    await erase_member(shop.ledger, "M1", "asked", asked(at(2, 10)))
    lost = SqliteKeys(tmp_path / "members.db", 1)
    tenant = Tenant(1, shop.secret, lost)
    frame = pl.DataFrame({"code": ["M1", "M7"], "name": ["Wang", "Li"], "tags": ["a", "b"]})
    report = await import_frame(shop.ledger.engine, tenant, Kind.MEMBERS, frame, known_at=at(3), actor="hq")
    assert (report.rows_new, report.rows_same, report.rows_erased) == (1, 0, 1)
    member = UUID(str(await shop.value("SELECT member_id_of('M1')")))
    assert await lost.get_many([member]) == {}
    assert await shop.value("SELECT count(*) FROM member_person WHERE member_id = $1", member) == 0
    lost.close()


async def test_an_erasure_that_overtakes_an_import_is_not_undone_by_it(shop: Brand, guide: UUID) -> None:
    """What the import looked at before its transaction is out of date when it writes."""
    member = UUID(str(await shop.value("SELECT member_id_of('M1')")))
    tenant = Tenant(1, shop.secret, shop.ledger.keys)
    row = {"line": [2], "id": [str(member)], "code": ["M1"], "name": ["Wang"], "tags": ["{a}"]}
    rows, _ = await sealed_members(tenant, pl.DataFrame(row))
    await erase_member(shop.ledger, "M1", "asked", asked(at(2, 10)))
    async with shop.ledger.transaction() as connection:
        await load_masters(
            connection, Kind.MEMBERS, tenant, rows,
            batch_id=9, known_at=at(3), on_progress=lambda _stage, _done, _total: None,
        )  # fmt: skip
    assert await shop.value("SELECT tags FROM member WHERE member_id = $1", member) == []
    assert await shop.value("SELECT count(*) FROM member_person WHERE member_id = $1", member) == 0


async def test_whom_a_restored_ledger_forgot_to_have_erased_is_erased_again(shop: Brand, guide: UUID) -> None:
    member = UUID(str(await shop.value("SELECT member_id_of('M1')")))
    await shop.ledger.keys.destroy(
        member
    )  # what is left of an erasure that the restored ledger does not know
    assert (await shop.person(member)).name is None
    assert await erase_again(shop.ledger, asked(at(3)), "restored_from_backup") == 1
    assert await states(shop) == [("withdrawn", "erased"), ("open", None), ("open", None)]
    assert await erase_again(shop.ledger, asked(at(3)), "restored_from_backup") == 0
