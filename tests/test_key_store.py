"""The members' keys: made once, for nobody else to read, destroyed for good, in every copy."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.errors import Refused
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_copies import COPIES, bring_keys, copy_keys
from infra.key_file import FILE
from infra.key_store import PostgresKeys, SqliteKeys, open_keys
from infra.settings import Settings
from ledger.member_keys import NO_KEYS, MemberKeys
from ledger.sealing import seal, unseal
from tests.conftest import drop_database

MEMBERS = [uuid4() for _ in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteKeys]:
    keys = SqliteKeys(tmp_path / FILE, 1, home=tmp_path)
    yield keys
    keys.close()


@pytest.fixture
async def elsewhere(postgres: tuple[EmbeddedPostgres, PostgresAddress]) -> AsyncIterator[PostgresKeys]:
    _, address = postgres
    name = f"keys_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(address.url("postgres"))
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    keys = PostgresKeys(address.url(name), 1)
    yield keys
    await keys.close()
    await drop_database(address, name)


@pytest.fixture(params=["file", "postgres"])
def either(request: pytest.FixtureRequest) -> MemberKeys:
    keys: MemberKeys = request.getfixturevalue("store" if request.param == "file" else "elsewhere")
    return keys


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def test_a_key_is_made_once_and_is_random(either: MemberKeys) -> None:
    made = await either.make_many(MEMBERS)
    assert {len(key) for key in made.values()} == {32}
    assert len(set(made.values())) == len(MEMBERS)
    assert await either.make_many(MEMBERS[:3]) == {member: made[member] for member in MEMBERS[:3]}
    assert await either.get_many([*MEMBERS[:2], uuid4()]) == {member: made[member] for member in MEMBERS[:2]}
    assert (await either.get_many([]), await either.make_many([])) == ({}, {})


async def test_a_destroyed_key_never_comes_back(either: MemberKeys) -> None:
    await either.make_many(MEMBERS)
    await either.destroy(MEMBERS[0])
    await either.destroy(MEMBERS[0])
    never = uuid4()
    await either.destroy(never)
    assert MEMBERS[0] not in await either.get_many(MEMBERS)
    assert set(await either.make_many([*MEMBERS[:2], never])) == {MEMBERS[1]}
    assert await either.destroyed() == {MEMBERS[0], never}


async def test_brands_do_not_share_keys(store: SqliteKeys) -> None:
    other = SqliteKeys(store.path, 2)
    mine, theirs = await store.make_many(MEMBERS[:1]), await other.make_many(MEMBERS[:1])
    assert mine != theirs
    await other.destroy(MEMBERS[0])
    assert await store.get_many(MEMBERS[:1]) == mine
    other.close()


async def test_nothing_of_a_destroyed_key_is_left_in_any_file(store: SqliteKeys, tmp_path: Path) -> None:
    made = await store.make_many(MEMBERS)
    assert made[MEMBERS[0]] in everything_in(tmp_path), "the search finds a key that is there"
    await store.destroy(MEMBERS[0])
    left = everything_in(tmp_path)
    assert made[MEMBERS[0]] not in left
    assert made[MEMBERS[1]] in left


async def test_only_the_owner_reads_it(store: SqliteKeys) -> None:
    await store.make_many(MEMBERS)
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()} == {0o600}


def _make(path: str, members: list[UUID], told: multiprocessing.Queue[dict[UUID, bytes]]) -> None:
    told.put(asyncio.run(SqliteKeys(Path(path), 1).make_many(members)))


def test_processes_that_make_the_same_keys_at_once_get_the_same(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[dict[UUID, bytes]] = context.Queue()
    members = [uuid4() for _ in range(2_000)]
    makers = [context.Process(target=_make, args=(str(tmp_path / FILE), members, told)) for _ in range(3)]
    for maker in makers:
        maker.start()
    answers = [told.get(timeout=60) for _ in makers]
    for maker in makers:
        maker.join(timeout=60)
    assert len(answers[0]) == 2_000
    assert answers[0] == answers[1] == answers[2]


async def test_an_erasure_reaches_the_copy_that_backups_made(store: SqliteKeys, tmp_path: Path) -> None:
    made = await store.make_many(MEMBERS)
    beside = tmp_path / "elsewhere"
    assert copy_keys(tmp_path, beside) == beside / FILE
    assert made[MEMBERS[0]] in everything_in(beside)
    await store.destroy(MEMBERS[0])
    assert made[MEMBERS[0]] not in everything_in(beside)
    assert made[MEMBERS[1]] in everything_in(beside)


async def test_the_next_backup_replaces_a_copy_that_could_not_be_reached(
    store: SqliteKeys, tmp_path: Path
) -> None:
    made = await store.make_many(MEMBERS)
    disk = tmp_path / "disk"
    copy_keys(tmp_path, disk)
    disk.rename(tmp_path / "away")
    await store.destroy(MEMBERS[0])
    (tmp_path / "away").rename(disk)
    assert made[MEMBERS[0]] in everything_in(disk)
    copy_keys(tmp_path, disk)
    assert made[MEMBERS[0]] not in everything_in(disk)
    assert [path.name for path in (disk / "keys").iterdir()] == ["members.db"], "one copy, never a dated one"


async def test_a_home_gets_the_keys_it_lacks_from_the_copy_and_none_that_was_destroyed(
    store: SqliteKeys, tmp_path: Path
) -> None:
    made = await store.make_many(MEMBERS)
    copy_keys(tmp_path, tmp_path / "backups")
    backup, new = tmp_path / "backups" / "2026-03-02", tmp_path / "new"
    assert bring_keys(backup, new)
    brought = SqliteKeys(new / FILE, 1)
    assert await brought.get_many(MEMBERS) == made
    await brought.destroy(MEMBERS[0])
    other = uuid4()
    own = await brought.make_many([other])
    assert bring_keys(backup, new)
    assert await brought.destroyed() == {MEMBERS[0]}
    assert await brought.get_many([other, *MEMBERS]) == own | {member: made[member] for member in MEMBERS[1:]}
    brought.close()
    await store.destroy(MEMBERS[1])  # reaches the copy, and with it whoever restores from there
    bring_keys(backup, new)
    brought = SqliteKeys(new / FILE, 1)
    assert await brought.destroyed() == {MEMBERS[0], MEMBERS[1]}
    brought.close()
    assert not bring_keys(tmp_path / "none" / "2026-03-02", tmp_path / "other")


def lose(keys: SqliteKeys) -> None:
    keys.close()
    keys.path.unlink()


async def read(path: Path) -> dict[UUID, bytes]:
    keys = SqliteKeys(path, 1)
    try:
        return await keys.get_many(MEMBERS)
    finally:
        keys.close()


async def test_reading_makes_no_store(store: SqliteKeys, tmp_path: Path) -> None:
    assert (await store.get_many(MEMBERS), await store.destroyed()) == ({}, frozenset())
    assert not store.path.parent.exists()


async def test_a_backup_after_the_store_was_lost_keeps_every_key_of_the_copy(
    store: SqliteKeys, tmp_path: Path
) -> None:
    made = await store.make_many(MEMBERS[:3])
    await store.destroy(MEMBERS[2])
    copy = copy_keys(tmp_path, tmp_path / "disk")
    assert copy is not None
    lose(store)
    new = await store.make_many(MEMBERS[3:5])
    await store.destroy(MEMBERS[4])
    copy_keys(tmp_path, tmp_path / "disk")
    kept = {member: made[member] for member in MEMBERS[:2]} | {MEMBERS[3]: new[MEMBERS[3]]}
    assert await read(copy) == kept
    assert MEMBERS[2] in await store.destroyed(), "a mark of the copy holds at home, too"
    assert set(await store.make_many([MEMBERS[2], MEMBERS[4]])) == set()


async def test_of_two_keys_of_one_member_neither_is_lost_and_erasing_takes_both(
    store: SqliteKeys, tmp_path: Path
) -> None:
    old = await store.make_many(MEMBERS[:2])
    copy = copy_keys(tmp_path, tmp_path / "backups")
    assert copy is not None
    lose(store)
    new = await store.make_many(MEMBERS[:2])
    copy_keys(tmp_path, tmp_path / "backups")
    assert bring_keys(tmp_path / "backups" / "2026-03-02", tmp_path)
    assert await store.get_many(MEMBERS) == new
    assert await store.others() == {member: [old[member]] for member in MEMBERS[:2]}
    await store.prefer(MEMBERS[0], old[MEMBERS[0]])
    assert (await store.get_many(MEMBERS))[MEMBERS[0]] == old[MEMBERS[0]]
    assert (await store.others())[MEMBERS[0]] == [new[MEMBERS[0]]]
    for kept in (old[MEMBERS[0]], new[MEMBERS[0]]):
        assert kept in everything_in(copy.parent)
    assert await store.destroy(MEMBERS[0]) == 0
    for gone in (old[MEMBERS[0]], new[MEMBERS[0]]):
        assert gone not in everything_in(tmp_path)
    await store.prefer(MEMBERS[0], old[MEMBERS[0]])
    assert MEMBERS[0] not in await store.get_many(MEMBERS)


async def test_an_erasure_ends_though_copies_cannot_be_reached_and_says_how_many(
    store: SqliteKeys, tmp_path: Path
) -> None:
    made = await store.make_many(MEMBERS)
    for name in ("broken", "away", "good"):
        copy_keys(tmp_path, tmp_path / name)
    (tmp_path / "broken" / FILE).write_bytes(b"no key store" * 100)
    (tmp_path / "away").rename(tmp_path / "drawer")
    assert await store.destroy(MEMBERS[0]) == 2
    assert made[MEMBERS[0]] not in everything_in(tmp_path / "good")
    assert MEMBERS[0] in await store.destroyed()
    (tmp_path / COPIES).write_bytes(b"\xff")
    assert await store.destroy(MEMBERS[1]) == 1, "which copies there are is not known"


async def test_a_copy_that_cannot_be_read_is_put_aside_and_not_brought(
    store: SqliteKeys, tmp_path: Path
) -> None:
    made = await store.make_many(MEMBERS)
    copy = copy_keys(tmp_path, tmp_path / "disk")
    assert copy is not None
    copy.write_bytes(b"no key store" * 100)
    with pytest.raises(Refused, match="restore_damaged"):
        bring_keys(tmp_path / "disk" / "2026-03-02", tmp_path / "new")
    copy_keys(tmp_path, tmp_path / "disk")
    assert await read(copy) == made
    (aside,) = copy.parent.glob("members.db.unreadable-*")
    assert aside.read_bytes() == b"no key store" * 100


async def test_an_erasure_takes_the_key_from_what_a_killed_backup_left_and_counts_what_it_cannot_read(
    store: SqliteKeys, tmp_path: Path
) -> None:
    made = await store.make_many(MEMBERS)
    copy = copy_keys(tmp_path, tmp_path / "disk")
    assert copy is not None
    for left in ("members.db.0a1b2c3d.part", "members.db.0a1b2c3d.part-wal", "members.db.unreadable-aa"):
        shutil.copy(copy, copy.with_name(left))
    assert await store.destroy(MEMBERS[0]) == 0, "it can be read by now"
    assert made[MEMBERS[0]] not in everything_in(tmp_path)
    assert not list(copy.parent.glob("*.part*"))
    damaged = copy.with_name("members.db.unreadable-bb")
    damaged.write_bytes(b"no key store" + made[MEMBERS[1]])
    assert await store.destroy(MEMBERS[1]) == 1


async def test_a_backup_removes_what_a_killed_one_left_and_a_running_one_is_let_be(
    store: SqliteKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.make_many(MEMBERS)
    copy = copy_keys(tmp_path, tmp_path / "disk")
    assert copy is not None
    part = copy.with_name("members.db.0a1b2c3d.part")
    shutil.copy(copy, part)
    monkeypatch.setattr("infra.key_copies.WAIT_S", 0.0)
    running = os.open(copy.parent, os.O_RDONLY)
    fcntl.flock(running, fcntl.LOCK_EX)
    assert await store.destroy(MEMBERS[0]) == 1
    assert part.exists()
    os.close(running)
    assert await store.destroy(MEMBERS[0]) == 0
    assert not part.exists()
    shutil.copy(copy, part)
    copy_keys(tmp_path, tmp_path / "disk")
    assert not part.exists()


async def test_an_erasure_reaches_copies_below_a_home_that_was_moved(
    store: SqliteKeys, tmp_path: Path
) -> None:
    home, moved = tmp_path / "home", tmp_path / "moved"
    first = SqliteKeys(home / FILE, 1, home=home)
    made = await first.make_many(MEMBERS)
    for folder in ("disk", "backups"):
        copy_keys(home, home / folder)
    first.close()
    home.rename(moved)
    second = SqliteKeys(moved / FILE, 1, home=moved)
    assert await second.destroy(MEMBERS[0]) == 0
    (moved / COPIES).unlink()
    assert await second.destroy(MEMBERS[1]) == 0
    assert made[MEMBERS[0]] not in everything_in(moved)
    assert made[MEMBERS[1]] not in everything_in(moved / "backups"), "it is looked for in the usual place"
    second.close()


async def test_without_a_store_nothing_is_kept_in_plain_text_instead() -> None:
    assert await NO_KEYS.get_many(MEMBERS) == {}
    for refused in (NO_KEYS.make_many(MEMBERS), NO_KEYS.destroy(MEMBERS[0])):
        with pytest.raises(LookupError):
            await refused


def test_the_setting_names_another_store(tmp_path: Path) -> None:
    assert isinstance(open_keys(Settings(home=tmp_path)), SqliteKeys)
    elsewhere = open_keys(Settings(home=tmp_path, keys_url="postgresql://a:secret@h/keys"))
    assert isinstance(elsewhere, PostgresKeys)
    assert "secret" not in repr(elsewhere)
    assert list(tmp_path.iterdir()) == []


def test_a_text_opens_with_its_own_key_in_its_own_place_only() -> None:
    key, member = bytes(range(32)), MEMBERS[0]
    sealed = seal(key, 1, member, "phone", b"13800001234")
    assert unseal(key, 1, member, "phone", sealed) == b"13800001234"
    assert seal(key, 1, member, "phone", b"13800001234") == sealed
    assert b"13800001234" not in sealed
    for other in (
        unseal(bytes(32), 1, member, "phone", sealed),
        unseal(key, 2, member, "phone", sealed),
        unseal(key, 1, MEMBERS[1], "phone", sealed),
        unseal(key, 1, member, "name", sealed),
        unseal(key, 1, member, "phone", sealed[:-1] + b"\0"),
        unseal(None, 1, member, "phone", sealed),
        unseal(key, 1, member, "phone", None),
    ):
        assert other is None


async def test_a_key_destroyed_in_postgresql_is_in_none_of_its_tables_files(elsewhere: PostgresKeys) -> None:
    made: dict[UUID, bytes] = {}
    for member in MEMBERS:  # one after the other, so that the last of a full page is among them
        made |= await elsewhere.make_many([member, *(uuid4() for _ in range(6))])
    connection = await asyncpg.connect(elsewhere._url)
    try:
        for gone in (MEMBERS[0], MEMBERS[13], MEMBERS[-1]):
            assert await elsewhere.destroy(gone) == 0
            await connection.execute("CHECKPOINT")
            kept = await connection.fetchval("SELECT pg_read_binary_file(pg_relation_filepath('member_key'))")
            assert made[gone] not in kept
            assert made[MEMBERS[1]] in kept
        seen = connection.transaction(isolation="repeatable_read")
        await seen.start()
        await connection.fetchval("SELECT 1 FROM pg_class")
        assert await elsewhere.destroy(MEMBERS[2]) == 1, "somebody still sees it"
        await seen.rollback()
        assert await elsewhere.destroy(MEMBERS[2]) == 0
    finally:
        await connection.close()
