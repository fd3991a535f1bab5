"""A member is erased while everything runs, and then looked for everywhere: tables, files, histories, backups.

The engine is the whole one: PostgreSQL, Temporal, worker and API, in a home of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import yaml

from infra.clock import now
from infra.embedded_postgres import running_postgres
from infra.key_file import FILE
from infra.up_state import read_running
from tests.live import late_morning, local

ROOT = Path(__file__).resolve().parent.parent
CODE, NAME, PHONE = "ZXQJ-88123", "欧阳无忌", "13987654321"
NOTE, REFUSED_NAME = "对芒果过敏勿荐", "欧阳无忌先生"
KEY = "first-try"
PERSONAL = (CODE, NAME, PHONE, NOTE)
SAID_ONLY_TO_THE_USER = ("zx.json",)
"""What the member was handed: outside the home, the user's own."""
NOT_OURS = ("DATABASE_URL", "DATABASE_ADMIN_URL", "TEMPORAL_ADDRESS", "DAOGOU_DATABASE", "DAOGOU_TENANT")
PATIENCE_S = 180.0


class Place:
    """A home, worked through the command line as a person would."""

    def __init__(self, folder: Path, name: str = "home") -> None:
        self.folder, self.home = folder, folder / name
        clean = {key: value for key, value in os.environ.items() if key not in NOT_OURS}
        self.environment = clean | {"DAOGOU_HOME": str(self.home), "DAOGOU_LANG": "zh"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / ".venv" / "bin" / "daogou"), *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def done(self, *words: str) -> str:
        ended = self.run(*words)
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.done(*words, "--json"))

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    here = Place(folder)
    try:
        yield here
    finally:
        here.run("down")


def open_shop(here: Place) -> None:
    """A store where it is late morning, its guide, three members whose tins run out, one of them ours."""
    zone = late_morning(now())
    today = local(now(), zone).date()
    bought = today - timedelta(days=25)
    here.done("import", "stores", here.write("s.csv", f"code,name,time_zone\nS1,一店,{zone}\n"))
    here.done("import", "guides", here.write("g.csv", "code,name,store\nG1,李芳,S1\n"))
    members = f"code,name,phone,store,tags\n{CODE},{NAME},{PHONE},S1,gift\nM2,张三,13800000002,S1,\nM3,王五,13800000003,S1,\n"
    here.done("import", "members", here.write("m.csv", members))
    rows = "".join(
        f"{code},S1,{bought} 10:00,B-{number},P1,TIN,4,{100 - number}.00,G1\n"
        for number, code in enumerate((CODE, "M2", "M3"))
    )
    head = "member,store,occurred_at,basket,product,category,quantity,value,guide\n"
    here.done("import", "purchases", here.write("p.csv", head + rows))
    # A file that is refused: what it complains of is shown to whoever imports, and kept nowhere.
    bad = here.run(
        "import",
        "members",
        here.write("bad.csv", f"code,name,phone,store\n{CODE},{REFUSED_NAME},call me,S1\n"),
    )
    assert (bad.returncode, "call me" in bad.stdout) == (1, True)
    playbook = {
        "plan": "tins",
        "name": "Tins",
        "period": {"start": today.isoformat(), "working_days": 1},
        "members": {"bought_categories": ["TIN"], "within_days": 180},
        "care": {"strategies": [{"strategy": "reception"}], "members_per_guide": 10, "items_per_day": 10},
        "goal": {"measure": "completion_rate", "target": 80, "by": today.isoformat()},
        "means": [{"name": "Reminder", "script": "Hello", "days_per_unit": {"TIN": 7}}],
        "day": {"release": "10:00", "nudges": [], "close": "21:00"},
    }
    here.done("plan", "launch", here.write("plan.yaml", yaml.safe_dump(playbook)))


def work(here: Place) -> None:
    """The guide clocks in; what is done about our member goes through the API and the command line."""
    here.done("clock-in", "G1")
    items = here.json("today", "G1")["items"]
    ours = next(item for item in items if PHONE[-4:] in item["member"])
    ask_the_api(here, ours["task_id"])
    again = ("check-in", "G1", str(ours["rank"]), "--outcome", "refused", "--note", NOTE)
    assert here.run(*again).returncode == 1, "the item is done"


def ask_the_api(here: Place, task: str) -> None:
    """Everything the API says of our member, and what it refuses: its logs and stored answers are looked through later."""
    here.done("account", "create", "hq@shop", "--name", "总部", "--role", "hq", "--no-password")
    token = here.json("token", "issue", "test", "--account", "hq@shop", "--all-rights")["secret"]
    api = read_running(here.home)
    assert api is not None
    assert api.api is not None
    with httpx.Client(base_url=api.api, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        report = {"performed_by": "G1", "channel": "phone", "outcome": "interested", "note": NOTE}
        answers = [
            client.post(f"/v1/tasks/{task}/phone"),
            client.post(f"/v1/tasks/{task}/check-ins", json=report, headers={"Idempotency-Key": KEY}),
            client.post(f"/v1/tasks/{task}/check-ins", json=report, headers={"Idempotency-Key": KEY}),
            client.get("/v1/guides/G1/today"),
            client.get(f"/v1/timeline/member/{CODE}"),
            client.post(f"/v1/members/{CODE}/export"),
            client.post(
                f"/v1/members/{CODE}/consents",
                json={"purpose": "wecom", "given": False, "source": "manager", "reason": f"{NAME} {PHONE}"},
            ),
            client.post(f"/v1/members/{CODE}{CODE}/erase", json={"reason": PHONE}),
            client.post(
                f"/v1/tasks/{task}/check-ins",
                json=report | {"note": PHONE, "grade": NAME},
                headers={"Idempotency-Key": "k2"},
            ),
        ]
    assert [answer.status_code for answer in answers] == [200, 201, 200, 200, 200, 200, 201, 404, 422]
    assert answers[0].json() == {"phone": PHONE}


def held_in(path: Path, texts: tuple[str, ...]) -> list[str]:
    """Which of the texts a file holds, as UTF-8, as JSON escapes them, or within an archive."""
    if path.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(path) as archive:
            members = [archive.extractfile(one) for one in archive.getmembers() if one.isfile()]
            data = b"".join(one.read() for one in members if one is not None)
    else:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    return [text for text in texts if text.encode() in data or json.dumps(text).strip('"').encode() in data]


def found_in(folder: Path, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """Every file below a folder that holds one of the texts."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    assert files, f"nothing to look through in {folder}"
    return {str(path): held for path in files if (held := held_in(path, texts))}


def data_of(home: Path) -> list[Path]:
    """Where PostgreSQL's data, its log and its kept write-ahead log lie: in the home, or beside it for root."""
    with running_postgres(home) as (_, address):
        data = Path(asyncio.run(_ask(address.url("daogou"), "SELECT current_setting('data_directory')")))
    return [data.parent if data.is_relative_to("/var/lib/daogou") else data]


async def _ask(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def every_row(home: Path) -> str:
    """Every row of every table, as a superuser sees it."""

    async def read(url: str) -> str:
        connection = await asyncpg.connect(url)
        try:
            tables = await connection.fetch(
                "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            rows = [await connection.fetch(f"SELECT t::text FROM {table['name']} t") for table in tables]
        finally:
            await connection.close()
        return "\n".join(str(row[0]) for part in rows for row in part)

    with running_postgres(home) as (_, address):
        return asyncio.run(read(address.url("daogou")))


def test_an_erased_member_is_nowhere_and_every_figure_stays(tmp_path: Path) -> None:
    with place(tmp_path) as here:
        open_shop(here)
        here.done("up", "--detach")
        work(here)
        before = here.json("day")["stores"]
        assert [store["done"] for store in before] == [1]
        backup = Path(here.json("backup")["folder"])
        shutil.copy(here.home / "backups" / FILE, tmp_path / "stolen.db")

        handed = tmp_path / SAID_ONLY_TO_THE_USER[0]
        here.done("member", "export", CODE, "--out", str(handed))
        assert set(held_in(handed, PERSONAL)) == set(PERSONAL), (
            "before the erasure everything is there to be read"
        )

        erased = here.json("member", "erase", CODE, "--reason", "本人要求", "--yes")
        assert here.run("member", "export", CODE, "--out", str(tmp_path / "late.json")).returncode == 1
        verified = here.json("audit", "verify")
        assert verified["ok"] is True
        timeline = here.done("audit", "timeline", "stream", f"member/{erased['member_id']}", "--json")
        assert "member_erased" in timeline
        assert here.json("day")["stores"] == before
        assert any((here.home / "logs").glob("api-*.log")), "the API's log is looked through, too"
        here.done("down")

        rows = every_row(here.home)
        assert str(erased["member_id"]) in rows, "what figures rest on stays, under the id"
        assert [text for text in PERSONAL if text in rows] == []
        assert found_in(here.home, (*PERSONAL, REFUSED_NAME)) == {}
        temporal = list((here.home / "temporal").rglob("*"))
        assert any(path.is_file() and path.stat().st_size > 10_000 for path in temporal), (
            "histories were looked through"
        )
        for folder in data_of(here.home):
            assert found_in(folder, (*PERSONAL, REFUSED_NAME)) == {}
        # The backup of before was made when the member was there. Its rows come back; the key does not.
        restored = Place(tmp_path, "restored")
        told = restored.json("restore", str(backup), "--into", str(restored.home))
        assert told["erased_again"] == 1
        assert told["verification"]["ok"] is True
        assert restored.run("member", "export", CODE, "--out", str(tmp_path / "gone.json")).returncode == 1
        assert found_in(restored.home, PERSONAL) == {}
        # With a key store somebody kept from before, against the rules, it could be read: the key is what was destroyed.
        kept = Place(tmp_path, "kept")
        (kept.home / FILE).parent.mkdir(parents=True, mode=0o700)
        shutil.copy(tmp_path / "stolen.db", kept.home / FILE)
        taken = shutil.copytree(backup, tmp_path / "taken" / backup.name)  # away from the copy that was told
        kept.json("restore", str(taken), "--into", str(kept.home))
        kept.done("member", "export", CODE, "--out", str(tmp_path / "read.json"))
        assert set(held_in(tmp_path / "read.json", PERSONAL)) == set(PERSONAL)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "plain.log").write_text(f"x {NAME} y", encoding="utf-8")
    (tmp_path / "escaped.json").write_text(json.dumps({"note": NOTE}), encoding="ascii")
    with gzip.open(tmp_path / "segment.gz", "wb") as packed:
        packed.write(PHONE.encode())
    with tarfile.open(tmp_path / "base.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "deep" / "plain.log", "plain.log")
    assert {Path(path).name: held for path, held in found_in(tmp_path, PERSONAL).items()} == {
        "plain.log": [NAME],
        "escaped.json": [NOTE],
        "segment.gz": [PHONE],
        "base.tar.gz": [NAME],
    }
