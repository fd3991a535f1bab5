"""A brand worked through the command line, for the tests of the commands."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import yaml
from click.testing import CliRunner, Result

from cli.main import root
from infra.clock import now
from infra.embedded_postgres import PostgresAddress
from ledger.database import open_database
from ledger.ledger import Ledger
from ledger.seals import Seal, seal_new
from ledger.sequencer import sequence

CLEAN = dict.fromkeys(
    ("DATABASE_URL", "DATABASE_ADMIN_URL", "TEMPORAL_ADDRESS", "DAOGOU_HOME", "DAOGOU_LANG")
)
TABLES = ("store", "guide", "member", "purchase", "import_batch", "plan", "plan_member", "task", "command")


@dataclass(frozen=True)
class Shop:
    """A brand in a database of its own, worked through the command line as a person would."""

    home: Path
    folder: Path
    database: str
    address: PostgresAddress

    def run(self, *arguments: str, lang: str = "zh", **environment: str) -> Result:
        place = ["--home", str(self.home), "--database", self.database, "--lang", lang]
        return CliRunner(env={**CLEAN, "COLUMNS": "100", **environment}).invoke(root, [*place, *arguments])

    def json(self, *arguments: str, **environment: str) -> Any:
        return json.loads(self.run(*arguments, "--json", **environment).stdout)

    def write(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def playbook(self, name: str = "spring", **changes: Any) -> str:
        """A playbook that may be launched, but for `changes`: dotted keys, `None` takes a key out."""
        written = a_playbook()
        for path, value in changes.items():
            *parents, last = path.split(".")
            place = written
            for parent in parents:
                place = place[parent]
            if value is None:
                del place[last]
            else:
                place[last] = value
        return self.write(f"{name}-{secrets.token_hex(3)}.yaml", yaml.safe_dump(written, allow_unicode=True))

    def traces(self) -> dict[str, int]:
        """How many events there are, and rows in every table a command writes to."""

        async def count() -> dict[str, int]:
            connection = await asyncpg.connect(self.address.url(self.database))
            try:
                return {
                    table: await connection.fetchval(f"SELECT count(*) FROM daogou.{table}")
                    for table in ("event", *TABLES)
                }
            finally:
                await connection.close()

        return asyncio.run(count())

    def sealed(self) -> Seal:
        """What a worker does: give positions, seal."""

        async def work() -> Seal:
            engine = open_database(self.address.url(self.database), tenant_id=1, pool_size=1)
            try:
                ledger = Ledger(engine, 1)
                async with ledger.connection() as connection:
                    await sequence(connection, 1)
                seal = await seal_new(ledger, now())
            finally:
                await engine.dispose()
            assert seal is not None
            return seal

        return asyncio.run(work())


def a_playbook() -> dict[str, Any]:
    start = now().date() + timedelta(days=3)
    return {
        "plan": "spring",
        "name": "春季用量提醒",
        "period": {"start": start.isoformat(), "working_days": 5},
        "members": {"bought_categories": ["COFFEE"], "within_days": 180},
        "care": {"strategies": [{"strategy": "round_robin"}], "members_per_guide": 2, "items_per_day": 5},
        "goal": {"measure": "completion_rate", "target": 80, "by": (start + timedelta(days=9)).isoformat()},
        "means": [{"kind": "replenishment", "name": "用量提醒", "script": "快用完了吧？"}],
    }


def purchases(today: date) -> str:
    lines = ["member,store,occurred_at,basket,product,category,quantity,value"]
    for member in range(1, 6):
        for at, days_ago in enumerate((45, 30, 15)):
            day = today - timedelta(days=days_ago)
            lines.append(f"M{member},S1,{day} 10:00,B{member}{at},P1,COFFEE,1,50.00")
    return "\n".join(lines) + "\n"
