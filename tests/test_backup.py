"""Backup and restore on real servers: writes going on, instants in between, and kills in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from domain.errors import Refused
from infra.anchor_file import append_anchor
from infra.backup import Backup, back_up
from infra.backup_folders import in_use
from infra.backup_standing import backup_standing
from infra.clock import now
from infra.cluster_swap import COMING, archive_root, incoming
from infra.databases import DatabaseUrls, ensure_months, ensure_tenant, provide_embedded
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress, running_postgres
from infra.postgres_process import find_postmaster, processes_in
from infra.restore import Restored, Target, restore
from infra.server_errors import EmbeddedServerError
from infra.service_user import locate
from infra.settings import Settings
from infra.wal_archive import archive_folder, archive_settings, kept_segments, prepare_life
from ledger.database import open_database
from ledger.door import NewEvent, StreamBatch, append
from ledger.ledger import Ledger
from ledger.seals import seal_new
from ledger.sequencer import sequence

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL = {"shared_buffers": "16MB"}
PATIENCE_S = 30.0
BACK_UP = """
import sys
from pathlib import Path
from infra.backup import back_up
from infra.settings import Settings
back_up(Settings(home=Path(sys.argv[1])), to=None, keep=None, on_stage=lambda *_: None)
"""
RESTORE = """
import sys
from pathlib import Path
from infra.clock import now
from infra.restore import restore
restore(Path(sys.argv[1]), into=Path(sys.argv[2]), at=None, wal=None, replace=True, as_of=now(), on_stage=lambda *_: None)
"""


SENT_NOTES = "SELECT array_agg(cause) FROM daogou.event WHERE type = 'noted'"


def silent(_stage: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


@dataclass
class Brand:
    """A ledger in a home of its own, whose WAL is kept."""

    home: Path
    server: EmbeddedPostgres
    address: PostgresAddress
    urls: DatabaseUrls
    written: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)

    @property
    def archive(self) -> Path:
        folder = archive_folder(locate(self.home.resolve()))
        assert folder is not None
        return folder

    def write(self, name: str) -> datetime:
        """Append an event; gives an instant after it was acknowledged."""
        asyncio.run(append_event(self.urls.worker, name))
        self.written.append(name)
        return now()

    def seal(self, anchors: Path) -> int:
        """Seal what there is and keep the anchor; gives its position."""
        return asyncio.run(seal_and_keep(self.urls.worker, anchors))

    def query(self, sql: str) -> Any:
        return asyncio.run(fetch(self.address.url("daogou"), sql))

    def keep_wal(self) -> None:
        """Close the present segment and see it kept."""
        name = self.switch()
        wait_for(lambda: name in kept_segments(self.archive))

    def switch(self) -> Any:
        """Close the present segment, which holds something at least; gives its name."""
        self.query("SELECT pg_logical_emit_message(false, 'test', 'x')")
        return self.query("SELECT pg_walfile_name(pg_switch_wal())")

    def back_up(self, to: Path | None = None, keep: int | None = None) -> Backup:
        return back_up(self.settings, to=to, keep=keep, on_stage=silent)


async def seal_and_keep(worker_url: str, anchors: Path) -> int:
    engine = open_database(worker_url, tenant_id=1, pool_size=1)
    try:
        ledger = Ledger(engine, 1)
        async with ledger.connection() as connection:
            await sequence(connection, 1)
        seal = await seal_new(ledger, now())
        assert seal is not None
        await append_anchor(anchors, seal, 1)
        return seal.position
    finally:
        await engine.dispose()


async def fetch(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def append_event(worker_url: str, *names: str) -> None:
    engine = open_database(worker_url, tenant_id=1, pool_size=1)
    ledger = Ledger(engine, 1)
    try:
        for name in names:
            async with ledger.transaction() as connection:
                event = NewEvent("noted", {}, now(), "hq")
                await append(
                    connection,
                    tenant_id=1,
                    command_id=name,
                    known_at=now(),
                    batches=[StreamBatch(f"note/{name}", (event,), None)],
                )
            async with ledger.connection() as connection:
                await sequence(connection, 1)
    finally:
        await engine.dispose()


async def prepare(worker_url: str) -> None:
    engine = open_database(worker_url, tenant_id=1, pool_size=1)
    try:
        ledger = Ledger(engine, 1)
        await ensure_tenant(ledger, b"tests")
        await ensure_months(ledger, now().date() - timedelta(days=31), now().date() + timedelta(days=31))
    finally:
        await engine.dispose()


@contextmanager
def brand_in(home: Path) -> Iterator[Brand]:
    with running_postgres(home, settings={**archive_settings(home), **SMALL}) as (server, address):
        urls = asyncio.run(provide_embedded(server, address, "daogou"))
        asyncio.run(prepare(urls.worker))
        yield Brand(home, server, address, urls)


@pytest.fixture(scope="module")
def brand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brand]:
    home = tmp_path_factory.mktemp("backup") / "with space $HOME 100% 'quoted'" / ".daogou"
    with brand_in(home) as made:
        made.write("first")
        yield made


@pytest.fixture(scope="module")
def made(brand: Brand, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """A backup nobody prunes."""
    return brand.back_up(tmp_path_factory.mktemp("kept") / "backup")


def bring_back(folder: Path, into: Path, at: Target = None, **more: Any) -> Restored:
    told = {"wal": None, "replace": False, "as_of": now(), "on_stage": silent} | more
    return restore(folder, into=into, at=at, **told)


def events_in(home: Path) -> set[str]:
    """The commands in the ledger of a home, read as `daogou` would: by the home's own password."""
    with running_postgres(home, settings=SMALL) as (_, address):
        rows = asyncio.run(fetch(address.url("daogou"), SENT_NOTES))
    return set(rows)


def code_of(refused: pytest.ExceptionInfo[Refused]) -> str:
    (problem,) = refused.value.problems
    return problem.code


@contextmanager
def child(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# --- what a backup holds ------------------------------------------------------------------------------


def test_every_event_acknowledged_before_the_backup_began_is_in_the_restore_and_the_chains_verify(
    brand: Brand, tmp_path: Path
) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    async def keep_writing() -> None:
        engine = open_database(brand.urls.worker, tenant_id=1, pool_size=1)
        ledger = Ledger(engine, 1)
        while not stop.is_set():
            name = f"busy/{len(acknowledged)}"
            async with ledger.transaction() as connection:
                event = NewEvent("noted", {}, now(), "hq")
                batches = [StreamBatch(f"note/{name}", (event,), None)]
                await append(connection, tenant_id=1, command_id=name, known_at=now(), batches=batches)
            acknowledged.append(name)
            async with ledger.connection() as connection:
                await sequence(connection, 1)
        await engine.dispose()

    writer = threading.Thread(target=lambda: asyncio.run(keep_writing()))
    writer.start()
    try:
        wait_for(lambda: len(acknowledged) > 20)
        before = list(acknowledged)
        made = brand.back_up(tmp_path / "busy")
        wait_for(lambda: len(acknowledged) > len(before) + 20)  # they did go on meanwhile
    finally:
        stop.set()
        writer.join()
    done = bring_back(made.folder, tmp_path / "home")
    assert done.ledger.verification.ok
    assert done.ledger.position > len(before)
    restored = events_in(tmp_path / "home")
    assert {"first", *before} <= restored
    assert restored <= {"first", *acknowledged, *brand.written}


def test_a_backup_is_for_its_owner_alone_and_holds_no_password(brand: Brand, made: Backup) -> None:
    assert made.folder.stat().st_mode & 0o777 == 0o700
    files = sorted(path.name for path in made.folder.iterdir())
    assert files == ["backup.json", "backup_manifest", "base.tar.gz", "pg_wal.tar.gz"]
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}
    unpacked = subprocess.run(
        ["tar", "-xzOf", made.folder / "base.tar.gz"], capture_output=True, check=True
    ).stdout
    for content in (unpacked, (made.folder / "backup.json").read_bytes()):
        for role in ("postgres", "daogou_worker"):
            assert brand.server.role_password(role).encode() not in content


def test_a_restored_home_opens_by_its_own_password_and_no_longer_by_the_old_one(
    brand: Brand, made: Backup, tmp_path: Path
) -> None:
    bring_back(made.folder, tmp_path / "home")
    with running_postgres(tmp_path / "home", settings=SMALL) as (_, address):
        assert asyncio.run(fetch(address.url("daogou"), "SELECT count(*) FROM daogou.event")) >= 1
        for user in ("postgres", "daogou_worker"):
            with pytest.raises(asyncpg.InvalidPasswordError):
                asyncio.run(
                    fetch(
                        address.url("daogou", user=user, password=brand.server.role_password(user)),
                        "SELECT 1",
                    )
                )


def test_a_restored_ledger_sends_nothing_until_a_person_says_so(made: Backup, tmp_path: Path) -> None:
    bring_back(made.folder, tmp_path / "home")
    with running_postgres(tmp_path / "home", settings=SMALL) as (_, address):
        url = address.url("daogou")
        asked = (
            "SELECT stopped AND reason = 'restored_from_backup' FROM daogou.message_stop WHERE tenant_id = 1"
        )
        assert asyncio.run(fetch(url, asked)) is True
        recorded = "SELECT type FROM daogou.event WHERE cause LIKE 'messages/restored/%'"
        assert asyncio.run(fetch(url, recorded)) == "messages_stopped"
    done = bring_back(made.folder, tmp_path / "again")
    assert done.ledger.verification.ok


ACCESS = {
    "open": "SELECT count(*) FROM daogou.credential WHERE ended_at IS NULL",
    "bound": "SELECT count(*) FROM daogou.device WHERE ended_at IS NULL",
    "codes": "SELECT count(*) FROM daogou.device_code WHERE used_at IS NULL",
    "pins": "SELECT array_agg(login ORDER BY login) FROM daogou.account WHERE pin IS NOT NULL",
    "passwords": "SELECT array_agg(login ORDER BY login) FROM daogou.account WHERE password IS NOT NULL",
    "told": "SELECT array_agg(DISTINCT type || ' ' || split_part(stream, '/', 1) || ' ' || (payload->>'reason'))"
    " FROM daogou.event WHERE payload->>'reason' = 'restored_from_backup' AND type <> 'messages_stopped'",
}


async def let_in(url: str) -> None:
    """A session, a token, a phone, a code that binds one, a one-time PIN and one of somebody's own."""
    connection = await asyncpg.connect(url, ssl=False, server_settings={"search_path": "daogou"})
    account, device = "00000000-0000-4000-8000-00000000000", "00000000-0000-4000-8000-0000000000d1"
    try:
        for number, (login, one_time) in enumerate((("given", True), ("own", False)), start=1):
            await connection.execute(
                "INSERT INTO account (tenant_id, account_id, login, name, password, pin, pin_must_change, created_at)"
                " VALUES (1, $1::text::uuid, $2, 'N', 'hash', 'hash', $3, now())",
                f"{account}{number}", login, one_time,
            )  # fmt: skip
        await connection.execute(
            "INSERT INTO role_grant (tenant_id, grant_id, account_id, role, place, starts_at)"
            " VALUES (1, gen_random_uuid(), $1::text::uuid, 'hq', '', now())",
            f"{account}2",
        )
        for kind in ("session", "token"):
            await connection.execute(
                "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, created_at, expires_at)"
                " VALUES (1, $1::text::bytea, gen_random_uuid(), $2::text::uuid, $1::text, now(), now() + interval '9 h')",
                kind,
                f"{account}2",
            )
        await connection.execute(
            "INSERT INTO device (tenant_id, device_id, store_id, name, hash, bound_at)"
            " VALUES (1, $1::text::uuid, gen_random_uuid(), 'phone', 'x', now())",
            device,
        )
        await connection.execute(
            "INSERT INTO device_code (tenant_id, hash, store_id, made_by, name, expires_at)"
            " VALUES (1, 'x', gen_random_uuid(), $1::text::uuid, 'phone', now() + interval '9 h')",
            f"{account}2",
        )
    finally:
        await connection.close()


def test_whatever_opened_something_at_the_backup_opens_nothing_after_the_restore(tmp_path: Path) -> None:
    with brand_in(tmp_path / "made") as mine:
        asyncio.run(let_in(mine.address.url("daogou")))
        made = mine.back_up(tmp_path / "backup")
    home = str(tmp_path / "home")
    told = json.loads(run("--home", home, "restore", str(made.folder), "--into", home, "--json").stdout)
    assert told["access_ended"] == {"sessions": 1, "tokens": 1, "devices": 1, "one_time_pins": 1}
    assert (told["to_look_through"]["accounts"], told["to_look_through"]["grants"]) == (2, 1)
    assert told["to_look_through"]["command"].endswith("account list")
    with running_postgres(Path(home), settings=SMALL) as (_, address):
        found = {name: asyncio.run(fetch(address.url("daogou"), sql)) for name, sql in ACCESS.items()}
    reason = "restored_from_backup"
    assert found == {
        "open": 0,
        "bound": 0,
        "codes": 0,
        "pins": ["own"],
        "passwords": ["given", "own"],
        "told": [f"access_ended account {reason}", f"device_ended device {reason}"],
    }
    for language, said in (
        ("zh", ("已全部失效", "由总部逐一核对")),
        ("en", ("all ended", "HQ looks through")),
    ):
        place = str(tmp_path / language)
        shown = run("--lang", language, "--home", place, "restore", str(made.folder), "--into", place).stdout
        assert all(text in " ".join(shown.split()) for text in said), shown


def test_status_warns_where_there_is_no_backup_of_the_present_life_or_an_old_one(tmp_path: Path) -> None:
    with brand_in(tmp_path / "home") as mine:
        none = backup_standing(mine.settings)
        assert none is not None
        assert none.wanting(now())
        made = mine.back_up(tmp_path / "elsewhere")
        mine.keep_wal()
        standing = backup_standing(mine.settings)
    assert standing is not None
    assert standing.newest_at == made.record.ended_at
    assert standing.archive_bytes > 0
    assert not standing.wanting(now())
    assert standing.wanting(now() + timedelta(days=2))
    bring_back(made.folder, mine.home, replace=True)
    after = backup_standing(mine.settings)
    assert after is not None
    assert after.newest_at is None, "points in time of the restored database begin with its own backup"
    assert backup_standing(Settings(home=tmp_path / "nothing")) is None


# --- points in time -----------------------------------------------------------------------------------


def test_a_restore_up_to_an_instant_holds_what_was_before_it_and_nothing_after(
    brand: Brand, made: Backup, tmp_path: Path
) -> None:
    anchors = tmp_path / "anchors.jsonl"
    sealed = brand.seal(anchors)
    between = brand.write("pitr/a")
    brand.write("pitr/b")
    brand.write("pitr/c")
    brand.seal(anchors)
    last = now()
    brand.keep_wal()
    home = tmp_path / "home"

    done = bring_back(made.folder, home, between, anchors=anchors)
    assert done.ledger.verification.ok
    standing = done.ledger.verification.standing
    assert (standing.anchored_position, standing.unanchored) == (sealed, done.ledger.position - sealed)
    assert done.ledger.anchors_after == 1, "what came after the instant is not held against it"
    assert {"first", "pitr/a"} <= events_in(home)
    assert not {"pitr/b", "pitr/c"} & events_in(home)

    # The restored database goes on by itself; another instant can be had from the same backup all the same.
    with brand_in(home) as second:
        second.write("pitr/second life")
    again = bring_back(made.folder, home, "latest", replace=True)
    assert again.aside is not None
    assert (again.aside / "PG_VERSION").exists()
    assert {"pitr/a", "pitr/b", "pitr/c"} <= events_in(home)
    assert "pitr/second life" not in events_in(home)
    assert again.reach.last <= last

    # What the home kept of it is held against it, too; an anchor that says otherwise shows.
    kept = home / "anchors" / "daogou-1.jsonl"
    kept.parent.mkdir()
    kept.write_text(re.sub('"root":"[0-9a-f]+"', f'"root":"{"0" * 64}"', anchors.read_text()))
    exactly = bring_back(made.folder, home, again.reach.last, replace=True)
    assert exactly.ledger.position == again.ledger.position
    assert not exactly.ledger.verification.ok


def test_a_restored_home_can_be_backed_up_and_restored_up_to_an_instant_of_its_own(
    made: Backup, tmp_path: Path
) -> None:
    bring_back(made.folder, tmp_path / "second")
    with brand_in(tmp_path / "second") as second:
        backup = second.back_up()
        between = second.write("grandchild/a")
        second.write("grandchild/b")
        second.keep_wal()
    assert backup.record.timeline == 2
    done = bring_back(backup.folder, tmp_path / "third", between)
    assert done.ledger.verification.ok
    assert "grandchild/a" in events_in(tmp_path / "third")
    assert "grandchild/b" not in events_in(tmp_path / "third")


def test_what_a_stopped_server_wrote_last_can_be_restored(tmp_path: Path) -> None:
    with brand_in(tmp_path / "home") as mine:
        backup = mine.back_up()
        mine.write("before the stop")
    bring_back(backup.folder, tmp_path / "other", "latest")
    assert "before the stop" in events_in(tmp_path / "other")
    stopped = back_up(mine.settings, to=None, keep=None, on_stage=silent)  # starts it for as long
    assert stopped.record.position == 1
    assert stopped.record.archive is not None
    assert find_postmaster(locate(mine.home.resolve()).data) is None


def test_an_instant_that_cannot_be_had_is_refused_and_says_what_can(
    brand: Brand, made: Backup, tmp_path: Path
) -> None:
    brand.write("range/a")
    brand.write("range/b")
    brand.keep_wal()
    first, home = made.record.ended_at, tmp_path / "home"
    for at, code in (
        (first - timedelta(microseconds=1), "restore_before_backup"),
        (now(), "restore_after_wal"),
        (now() + timedelta(days=1), "restore_in_future"),
        (datetime(2020, 1, 1, tzinfo=UTC), "restore_before_backup"),
    ):
        with pytest.raises(Refused) as refused:
            bring_back(made.folder, home, at)
        assert code_of(refused) == code
        told = refused.value.problems[0].params
        assert datetime.fromisoformat(str(told["first"])) == first
        assert first < datetime.fromisoformat(str(told["last"])) <= now()
    assert not home.exists()


def test_a_hole_in_the_kept_wal_is_refused_beyond_it_and_what_lies_before_can_be_had(
    brand: Brand, made: Backup, tmp_path: Path
) -> None:
    before = brand.write("hole/a")
    brand.write("hole/b")
    brand.keep_wal()
    brand.write("hole/c")
    brand.keep_wal()
    brand.write("hole/d")
    brand.keep_wal()
    copy = tmp_path / "moved"
    shutil.copytree(brand.archive, copy)
    lost = kept_segments(copy)[-2]
    (copy / f"{lost}.gz").unlink()

    with pytest.raises(Refused) as refused:
        bring_back(made.folder, tmp_path / "home", now() - timedelta(microseconds=1), wal=copy)
    assert code_of(refused) == "restore_wal_gap"
    assert refused.value.problems[0].params["missing"] == lost
    assert not (tmp_path / "home").exists()

    bring_back(made.folder, tmp_path / "home", before, wal=copy)
    assert "hole/a" in events_in(tmp_path / "home")


def test_a_segment_damaged_on_the_way_is_never_passed_over(
    brand: Brand, made: Backup, tmp_path: Path
) -> None:
    brand.write("damaged/a")
    brand.keep_wal()
    brand.write("damaged/b")
    between = brand.write("damaged/c")
    brand.write("damaged/d")
    brand.keep_wal()
    copy = tmp_path / "moved"
    shutil.copytree(brand.archive, copy)
    damaged = copy / f"{kept_segments(copy)[-2]}.gz"
    damaged.write_bytes(damaged.read_bytes()[:200])
    for at in (between, "latest"):
        with pytest.raises(EmbeddedServerError, match="ended while recovering"):
            bring_back(made.folder, tmp_path / "home", at, wal=copy)
        assert not list(locate((tmp_path / "home").resolve()).data.parent.glob("*.restore-*"))
        assert not locate((tmp_path / "home").resolve()).data.exists()


# --- refusals -----------------------------------------------------------------------------------------


def test_a_home_with_a_database_is_never_overwritten(brand: Brand, made: Backup) -> None:
    with pytest.raises(Refused) as refused:
        bring_back(made.folder, brand.home)
    assert code_of(refused) == "restore_home_taken"
    with pytest.raises(Refused) as refused:
        bring_back(made.folder, brand.home, replace=True)
    assert code_of(refused) == "restore_home_in_use"
    assert brand.query("SELECT count(*) FROM daogou.event") >= 1


def test_half_and_damaged_backups_are_refused_and_leave_nothing(made: Backup, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(made.folder, half)
    (half / "backup.json").unlink()
    cut = tmp_path / "cut"
    shutil.copytree(made.folder, cut)
    (cut / "base.tar.gz").write_bytes((made.folder / "base.tar.gz").read_bytes()[:-100_000])
    without = tmp_path / "without"
    shutil.copytree(made.folder, without)
    (without / "pg_wal.tar.gz").unlink()
    changed = tmp_path / "changed"
    shutil.copytree(made.folder, changed)
    manifest = (changed / "backup_manifest").read_text()
    (changed / "backup_manifest").write_text(manifest.replace('"Checksum": "', '"Checksum": "00', 1))
    broken = tmp_path / "broken"
    shutil.copytree(made.folder, broken)
    (broken / "backup.json").write_text("{")
    for folder, code in (
        (tmp_path / "nowhere", "restore_not_a_backup"),
        (half, "restore_not_a_backup"),
        (cut, "restore_damaged"),
        (without, "restore_damaged"),
        (changed, "restore_damaged"),
        (broken, "restore_record_unreadable"),
    ):
        with pytest.raises(Refused) as refused:
            bring_back(folder, tmp_path / "home")
        assert code_of(refused) == code
        if (tmp_path / "home").exists():
            data = locate((tmp_path / "home").resolve()).data
            assert not list(data.parent.glob(f"{data.name}*"))


def test_backups_of_another_postgresql_or_a_newer_schema_are_refused(made: Backup, tmp_path: Path) -> None:
    written = json.loads((made.folder / "backup.json").read_text())
    for changed, code in (
        ({"postgres": "17.2"}, "restore_other_postgres"),
        ({"revision": "9999"}, "restore_newer_schema"),
    ):
        (tmp_path / "backup.json").write_text(json.dumps(written | changed))
        with pytest.raises(Refused) as refused:
            bring_back(tmp_path, tmp_path / "home")
        assert code_of(refused) == code


def test_a_backup_overwrites_nothing_and_needs_a_database(brand: Brand, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for to, code in (
        (tmp_path, "backup_folder_taken"),
        (tmp_path / "file", "backup_folder_taken"),
        (tmp_path / "file" / "below", "backup_folder_unusable"),
    ):
        with pytest.raises(Refused) as refused:
            brand.back_up(to)
        assert code_of(refused) == code
    with pytest.raises(Refused) as refused:
        back_up(Settings(home=tmp_path / "empty"), to=None, keep=None, on_stage=silent)
    assert code_of(refused) == "backup_without_database"
    assert not (tmp_path / "empty").exists()


# --- the kept WAL -------------------------------------------------------------------------------------


def test_the_archive_never_replaces_a_segment_by_a_different_one_and_says_that_it_cannot_go_on(
    tmp_path: Path,
) -> None:
    with brand_in(tmp_path / "home") as mine:
        mine.back_up()
        mine.write("something")
        name = mine.query("SELECT pg_walfile_name(pg_current_wal_lsn())")
        taken, foreign = mine.archive / f"{name}.gz", b"something else"
        taken.write_bytes(foreign)
        assert mine.switch() == name
        wait_for(lambda: mine.query("SELECT last_failed_wal FROM pg_stat_archiver") == name)
        # In a folder of its own: a backup is named by its second, and the first may be of this one.
        assert mine.back_up(tmp_path / "meanwhile").archive.failed_at is not None
        assert taken.read_bytes() == foreign
        taken.unlink()
        mine.keep_wal()
        assert name in kept_segments(mine.archive)
        assert mine.back_up(tmp_path / "after").archive.failed_at is None


def test_wal_waits_while_its_folder_is_gone_and_is_kept_when_it_is_back(tmp_path: Path) -> None:
    with brand_in(tmp_path / "home") as mine:
        first = mine.back_up()
        mine.keep_wal()
        folder, away = mine.archive, mine.archive.with_name("away")
        folder.rename(away)
        mine.write("meanwhile")
        name = mine.switch()
        wait_for(lambda: mine.query("SELECT last_failed_wal FROM pg_stat_archiver") == name)
        failing = mine.back_up(tmp_path / "meanwhile")
        assert failing.archive.failed_at is not None
        assert failing.archive.waiting >= 1
        away.rename(folder)
    bring_back(first.folder, tmp_path / "other", "latest")  # stopping keeps what was waiting
    assert "meanwhile" in events_in(tmp_path / "other")


def test_a_home_whose_wal_is_kept_goes_on_whoever_starts_it(tmp_path: Path) -> None:
    with running_postgres(tmp_path, settings=SMALL) as (_, address):
        assert asyncio.run(fetch(address.url("postgres"), "SHOW archive_mode")) == "off"
    assert archive_settings(tmp_path)["archive_mode"] == "on"
    with running_postgres(tmp_path, settings=SMALL) as (_, address):
        assert asyncio.run(fetch(address.url("postgres"), "SHOW archive_mode")) == "on"


def test_only_the_last_backups_and_the_wal_they_need_are_kept(brand: Brand, tmp_path: Path) -> None:
    elsewhere = brand.back_up(tmp_path / "a" / "elsewhere")
    there = [brand.back_up(tmp_path / "b" / str(at), keep=2).folder for at in range(3)]
    assert not there[0].exists()
    assert all(folder.exists() for folder in there[1:])
    assert elsewhere.folder.exists()  # not where the new one went
    oldest = json.loads((there[1] / "backup.json").read_text())
    log = int(oldest["start_lsn"].partition("/")[2], 16) // oldest["segment_bytes"]
    assert kept_segments(brand.archive)[0][-8:] == f"{log:08X}"
    with in_use(there[1]):
        brand.back_up(tmp_path / "b" / "3", keep=1)
    assert there[1].exists()  # somebody restores from it
    assert not there[2].exists()


# --- kills --------------------------------------------------------------------------------------------


def test_a_killed_backup_leaves_no_half_one_and_the_next_cleans_up(brand: Brand) -> None:
    folder = brand.home / "backups"
    with child(BACK_UP, str(brand.home)) as process:
        wait_for(lambda: list(folder.glob(".*.daogou-partial")) or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = list(folder.glob(".*.daogou-partial"))
    assert left
    assert [path for path in folder.iterdir() if path not in left] == []

    number = count()

    def next_one_sweeps() -> bool:
        # By names of our own: two of one second would want the same.
        made = brand.back_up(
            to=folder / f"next-{next(number)}"
        )  # works at once; a pg_basebackup that outlived the kill is left alone
        assert (made.folder / "backup.json").exists()
        return not any(path.exists() for path in left)

    wait_for(next_one_sweeps)


@pytest.mark.parametrize("stage", ["unpacking", "recovering"])
def test_a_killed_restore_changes_nothing_and_the_next_cleans_up(
    made: Backup, tmp_path: Path, stage: str
) -> None:
    home = tmp_path / "home"
    bring_back(made.folder, home)
    data = locate(home.resolve()).data

    def there() -> bool:
        work = list(data.parent.glob(f"{data.name}.restore-*"))
        return any(processes_in(path) for path in work) if stage == "recovering" else bool(work)

    with child(RESTORE, str(made.folder), str(home)) as process:
        wait_for(lambda: there() or process.poll() is not None)
        assert process.poll() is None, "it was over before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "first" in events_in(home)
    assert not list(data.parent.glob(f"{data.name}.replaced-*"))
    done = bring_back(made.folder, home, replace=True)
    assert done.aside is not None
    assert not list(data.parent.glob(f"{data.name}.restore-*"))
    assert "first" in events_in(home)


def test_a_restore_killed_between_its_renames_is_finished_by_the_next_start(
    made: Backup, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    bring_back(made.folder, home)
    data = locate(home.resolve()).data
    data.rename(incoming(data))  # the old one is aside, the new one not yet in its place
    assert "first" in events_in(home)
    assert not incoming(data).exists()


def test_a_restore_killed_before_the_swap_leaves_the_old_life_of_the_kept_wal(tmp_path: Path) -> None:
    with brand_in(tmp_path / "home") as mine:
        backup, old = mine.back_up(), mine.archive
        mine.write("before")
    site = locate(mine.home.resolve())
    prepared = prepare_life(site)
    shutil.copytree(site.data, incoming(site.data))  # as it stands when it is killed just before the swap
    with brand_in(mine.home) as again:
        assert again.archive == old
        again.write("after the kill")
    done = bring_back(backup.folder, mine.home, "latest", replace=True)
    assert done.aside is not None
    assert {"before", "after the kill"} <= events_in(mine.home), "its points in time went on"
    assert archive_folder(site) not in {old, prepared}
    assert not prepared.exists()


def test_a_restore_killed_in_the_swap_is_finished_with_its_own_life_of_the_kept_wal(tmp_path: Path) -> None:
    with brand_in(tmp_path / "home") as mine:
        mine.write("once")
    site = locate(mine.home.resolve())
    old, prepared = archive_folder(site), prepare_life(site)
    site.data.rename(incoming(site.data))
    assert locate(mine.home.resolve()).data.exists()
    assert archive_folder(site) == prepared != old
    assert not (archive_root(site.data) / COMING).exists()


# --- the commands -------------------------------------------------------------------------------------


def run(*arguments: str, **environment: str | None) -> Result:
    from cli.main import root  # noqa: PLC0415 - the rest of this file does without the command line

    clean = dict.fromkeys(("DATABASE_URL", "DATABASE_ADMIN_URL", "DAOGOU_HOME", "DAOGOU_LANG"))
    return CliRunner(env={**clean, "COLUMNS": "100", **environment}).invoke(root, list(arguments))


def test_the_commands_say_where_how_much_and_what_comes_next(brand: Brand, tmp_path: Path) -> None:
    backup = run("--home", str(brand.home), "backup", "--to", str(tmp_path / "backup"))
    assert backup.exit_code == 0, backup.output
    assert all(text in backup.stdout for text in ("已备份", "MB", "WAL", "daogou restore"))
    home = str(tmp_path / "home")
    done = run("--home", home, "restore", str(tmp_path / "backup"), "--into", home)
    assert done.exit_code == 0, done.output
    assert all(
        text in done.stdout
        for text in ("已恢复", "账本已核验", "未锚定", "daogou", " up", " resume", " backup")
    )
    told = json.loads(
        run("--home", home, "restore", str(tmp_path / "backup"), "--into", home, "--replace", "--json").stdout
    )
    assert told["verification"]["ok"] is True
    assert told["replaced"]
    assert told["messages_stopped"] is True
    assert "outbox start --reason" in "".join(done.stdout.split("\n"))
    for language, said in (("zh", "恢复备份后自动停发"), ("en", "restored from a backup")):
        shown = run("--home", home, "--lang", language, "outbox")
        assert said in shown.stdout.replace("\n", " "), shown.output


def test_bad_instants_and_a_database_of_yours_are_refused_with_what_to_do(tmp_path: Path) -> None:
    home = str(tmp_path)
    for at, said in (("09:30", "2026-03-02T09:30:00+08:00"), ("2026-03-02T09:30:00", "+08:00")):
        refused = run("--home", home, "restore", home, "--into", home, "--at", at)
        assert refused.exit_code == 1
        assert said in refused.stderr
    for command in (["backup"], ["restore", home, "--into", home]):
        refused = run("--home", home, *command, DATABASE_URL="postgresql://u:secret@db.invalid/x")
        assert refused.exit_code == 1
        said = "".join(refused.stderr.split())  # lines are broken anywhere
        assert all(text in said for text in ("pg_dump", f"--home{home}resume"))
        assert "secret" not in refused.output


def test_the_archive_of_a_home_lies_beside_its_data_for_its_account_alone(brand: Brand) -> None:
    site = locate(brand.home.resolve())
    for folder in (archive_root(site.data), brand.archive):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.stat().st_uid == (site.account.uid if site.account else os.geteuid())
    brand.keep_wal()
    assert {path.stat().st_mode & 0o777 for path in brand.archive.iterdir()} == {0o600}
