"""The functions of a check-in stand above row-level security: they let nobody see or report what the policies forbid.

Held against the same rules in Python as the tables (`row_rules`), for each asker alone and for all of them at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from activities.sessions import digest
from domain.check_in import CheckIn
from ledger.asking import CHANGING_RIGHTS, Asker, sign_on
from ledger.check_ins import Decided, decide
from ledger.database import API, driver_connection, open_database
from ledger.door import Driver
from ledger.gathering import Told, look_together, take_together
from tests.security.conftest import Stage
from tests.security.reach import Reach, reach_of
from tests.security.row_rules import CHANGES, SEES, Facts, Row
from tests.security.test_rows import EVERYBODY, facts, signed_on
from tests.security.world import NOW

__all__ = ["facts"]

_LOOK = "SELECT * FROM items_to_report(NULL, NULL, NULL, $1, $2, $3, $4)"
_RECORD = f"SELECT record_check_ins(NULL, NULL, {', '.join(f'${n}' for n in range(1, 25))})"
_RECORD_AS = f"SELECT record_check_ins({', '.join(f'${n}' for n in range(1, 27))})"


@dataclass(frozen=True)
class Item:
    """An open item, as anybody would report it who knew everything of it."""

    row: Row
    member: Row
    guide: UUID
    decided: Decided


@pytest_asyncio.fixture(scope="session")
async def items(stage: Stage, facts: Facts) -> list[Item]:
    """Every open item; decided on what the worker reads, who sees all."""
    found = []
    async with stage.database.ledger.connection() as connection:
        for holder, task in stage.world.tasks.items():
            guide = stage.world.guides[holder]
            command = CheckIn(
                command_id=f"forged/{task}",
                task_id=task,
                performed_by=guide,
                actor="account/x",
                occurred_at=NOW,
                known_at=NOW,
                channel="phone",
                outcome="interested",
            )
            (row,) = await connection.fetch(_LOOK, [task], [command.command_id], [NOW], ["{}"])
            decided = await decide(stage.database.ledger, row, command, b"")
            if decided is None:
                continue
            kept = facts.one("task", task_id=task)
            member = facts.one(
                "plan_member", plan_id=row["plan_id"], cycle=row["cycle"], member_id=row["member_id"]
            )
            assert kept is not None
            assert member is not None
            found.append(Item(kept, member, guide, decided))
    assert len(found) > 4
    return found


def sees(facts: Facts, reach: Reach, item: Item) -> bool:
    return reach.sees_all or SEES["task"](facts, reach, item.row)


def reports(facts: Facts, reach: Reach, item: Item) -> bool:
    """Whether all the rows a check-in changes may be changed: item, member's place, day, and the report itself."""
    if reach.changes_all:
        return True
    today: Mapping[str, Any] = {"guide_id": item.guide, "business_date": NOW.date()}
    return (
        sees(facts, reach, item)
        and CHANGES["task"](facts, reach, item.row)
        and CHANGES["guide_day"](facts, reach, today)
        and CHANGES["plan_member"](facts, reach, item.member)
    )


@asynccontextmanager
async def undone(connection: Driver) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def in_own_name(connection: Driver, item: Item) -> list[Any]:
    """What whoever stands on the connection would hand to the function."""
    arguments = list(item.decided.arguments)
    account = await connection.fetchval("SELECT asker()")
    arguments[1], arguments[4] = f"check-in/{account}/own", f"account/{account}"
    return arguments


@pytest.mark.parametrize("login", [*EVERYBODY, None])
async def test_an_item_is_looked_at_and_reported_by_whom_the_rules_of_its_rows_let(
    stage: Stage, facts: Facts, items: list[Item], login: str | None
) -> None:
    reach = reach_of(EVERYBODY[login]) if login else None
    async with signed_on(stage, login) as connection:
        for item in items:
            task = item.row["task_id"]
            looked = await connection.fetch(_LOOK, [task], ["forged"], [NOW], ["{}"])
            assert bool(looked) is (reach is not None and sees(facts, reach, item)), (login, task)
            async with undone(connection):
                told = [[one] for one in await in_own_name(connection, item)]
                try:
                    became = await connection.fetchval(_RECORD, *told)
                except asyncpg.InsufficientPrivilegeError:
                    became = None
            assert (became == [""]) is (reach is not None and reports(facts, reach, item)), (login, task)
    assert await stage.kept.changed() == []


async def test_nobody_was_ever_signed_on_and_nothing_is_told_or_taken(
    stage: Stage, items: list[Item]
) -> None:
    engine = open_database(stage.database.urls.api, tenant_id=1, role=API, pool_size=1)
    try:
        async with driver_connection(engine) as connection:
            for item in items:
                assert not await connection.fetch(_LOOK, [item.row["task_id"]], ["x"], [NOW], ["{}"])
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetchval(_RECORD, *([one] for one in item.decided.arguments))
    finally:
        await engine.dispose()
    assert await stage.kept.changed() == []


async def test_somebody_of_one_brand_is_nobody_in_another(stage: Stage, items: list[Item]) -> None:
    engine = open_database(stage.database.urls.api, tenant_id=1, role=API, pool_size=1)
    try:
        async with driver_connection(engine) as connection:
            assert await sign_on(connection, digest(stage.world.tokens["acc-hq"]), NOW)
            await connection.execute("SET daogou.tenant = '2'")
            for item in items:
                assert not await connection.fetch(_LOOK, [item.row["task_id"]], ["x"], [NOW], ["{}"])
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetchval(_RECORD, *([one] for one in item.decided.arguments))
    finally:
        await engine.dispose()
    assert await stage.kept.changed() == []


def _told(stage: Stage, login: str, item: Item) -> Told:
    def admitted(asker: Asker) -> CheckIn:
        return CheckIn(
            command_id=f"check-in/{asker.account_id}/{login}",
            task_id=item.row["task_id"],
            performed_by=item.guide,
            actor=asker.actor,
            occurred_at=NOW,
            known_at=NOW,
            channel="phone",
            outcome="interested",
        )

    return Told(
        shown=digest(stage.world.tokens[login]),
        key=login,
        task_id=item.row["task_id"],
        at=NOW,
        occurred_at=NOW,
        products=(),
        admitted=admitted,  # whatever the API would say
    )


async def test_of_many_at_once_each_sees_what_it_would_see_alone(
    stage: Stage, facts: Facts, items: list[Item]
) -> None:
    asked = [(login, item) for item in items for login in EVERYBODY]
    async with driver_connection(stage.served.engine) as connection:
        rows = await look_together(connection, [_told(stage, login, item) for login, item in asked])
    found = {row["place"] - 1 for row in rows}
    expected = {
        place for place, (login, item) in enumerate(asked) if sees(facts, reach_of(EVERYBODY[login]), item)
    }
    assert found == expected
    assert all(row["account_id"] is not None for row in rows)


@pytest.mark.parametrize("turned", [False, True])
async def test_of_many_at_once_each_reports_what_it_could_report_alone(
    stage: Stage, facts: Facts, items: list[Item], turned: bool
) -> None:
    """Each item is reported by one who may and by one who may not, beside each other."""
    for item in items:
        asked = sorted(EVERYBODY, reverse=turned)
        async with driver_connection(stage.served.engine) as connection, undone(connection):
            told = [_told(stage, login, item) for login in asked]
            taken = await take_together(connection, stage.served, told, await look_together(connection, told))
        may = [n for n, login in enumerate(asked) if reports(facts, reach_of(EVERYBODY[login]), item)]
        assert set(taken) <= set(may), "somebody reported what is not theirs"
        assert len(taken) == min(len(may), 1), "one item is reported once, whoever else tried"
    assert await stage.kept.changed() == []


async def test_what_ended_between_looking_and_recording_records_nothing(
    stage: Stage, items: list[Item]
) -> None:
    item = next(one for one in items if one.guide == stage.world.guides["gui-iris"])
    arguments = list(item.decided.arguments)
    async with driver_connection(stage.served.engine) as connection, undone(connection):
        asker = await sign_on(connection, digest(stage.world.tokens["acc-guide"]), NOW)
        assert asker is not None
        arguments[1], arguments[4] = f"check-in/{asker.account_id}/own", asker.actor
        columns = [[one] for one in arguments]
        shown = digest(stage.world.tokens["acc-guide"])
        for known, by, became in (
            (NOW, "made up", "42501"),
            (NOW + timedelta(days=4000), "acc-guide", "42501"),
            (NOW, "acc-guide", ""),
        ):
            columns[2] = [known]
            secret = shown if by == "acc-guide" else digest(by)
            assert await connection.fetchval(_RECORD_AS, [secret], CHANGING_RIGHTS, *columns) == [became], by


async def test_a_report_in_anothers_name_or_of_another_item_than_it_says_is_not_taken(
    stage: Stage, items: list[Item]
) -> None:
    own = next(one for one in items if one.guide == stage.world.guides["gui-iris"])
    other = next(one for one in items if one.guide == stage.world.guides["gui-nerine"])
    shown = digest(stage.world.tokens["acc-guide"])
    async with driver_connection(stage.served.engine) as connection:
        asker = await sign_on(connection, digest(stage.world.tokens["acc-guide"]), NOW)
        assert asker is not None
        forged = [
            {},  # the actor is somebody else
            {4: asker.actor, 0: other.row["task_id"]},  # another guide's item as one's own
            {4: asker.actor, 8: other.row["member_id"]},  # another member
            {4: asker.actor, 6: "pla-c2"},  # another plan
            {4: asker.actor, 5: other.guide},  # another guide gets the credit
            {4: asker.actor, 15: other.decided.arguments[15]},  # the words of another
        ]
        for change in forged:
            arguments = list(own.decided.arguments)
            arguments[1] = f"check-in/{asker.account_id}/own"
            for place, value in change.items():
                arguments[place] = value
            async with undone(connection):
                became = await connection.fetchval(
                    _RECORD_AS, [shown], CHANGING_RIGHTS, *([one] for one in arguments)
                )
            assert became[0] in {"42501", "DG001", "DG002"}, change
    assert await stage.kept.changed() == []


@pytest.mark.parametrize("name", ["append_events_held", "write_check_ins", "reports_as_hers"])
async def test_what_holds_nobody_is_nobodys_to_call(stage: Stage, name: str) -> None:
    rows = await stage.kept.connection.fetch(
        "SELECT r.rolname::text FROM pg_proc p, pg_roles r WHERE p.pronamespace = 'daogou'::regnamespace"
        " AND p.proname = $1 AND r.rolname LIKE 'daogou\\_%' AND r.rolname <> 'daogou_owner'"
        " AND has_function_privilege(r.oid, p.oid, 'EXECUTE')",
        name,
    )
    assert rows == []


async def test_a_function_for_nobodys_use_is_refused_to_the_api(stage: Stage, items: list[Item]) -> None:
    columns = [[one] for one in items[0].decided.arguments]
    async with signed_on(stage, "acc-hq") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await connection.execute(
                f"SELECT write_check_ins({', '.join(f'${n}' for n in range(1, 26))})", *columns, [False]
            )


@pytest.mark.parametrize("named", [False, True], ids=["on the connection", "by what is shown"])
async def test_nobody_reports_in_anothers_name_or_under_a_name_of_a_request_that_is_not_theirs(
    stage: Stage, items: list[Item], named: bool
) -> None:
    item = next(one for one in items if one.guide == stage.world.guides["gui-iris"])
    shown = digest(stage.world.tokens["acc-guide"])
    other = UUID(int=7)
    async with signed_on(stage, "acc-guide") as connection:
        own = await in_own_name(connection, item)
        account = own[4].removeprefix("account/")
        for command, actor, taken in (
            (own[1], f"account/{other}", False),
            (own[1], "hq", False),
            (f"check-in/{other}/own", own[4], False),
            (f"check-in/{account}", own[4], False),
            ("launch/p1", own[4], False),
            (own[1], own[4], True),
        ):
            columns = [[one] for one in own]
            columns[1], columns[4] = [command], [actor]
            async with undone(connection):
                try:
                    if named:
                        became = await connection.fetchval(_RECORD_AS, [shown], CHANGING_RIGHTS, *columns)
                    else:
                        became = await connection.fetchval(_RECORD, *columns)
                except asyncpg.InsufficientPrivilegeError:
                    became = ["42501"]
            assert became == ["" if taken else "42501"], (command, actor)
    assert await stage.kept.changed() == []
