from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from tests.cli.shop import Shop, purchases


@pytest.fixture(scope="session")
def stocked(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """Two stores, two guides, five members who bought coffee: imported by the commands. Only to be read."""
    shop = Shop(home, tmp_path_factory.mktemp("shop"), "cli_shop", postgres[1])
    stores = "code,name,time_zone\nS1,One,Asia/Shanghai\nS2,Two,Asia/Shanghai\n"
    guides = "code,name,store\nG1,Li,S1\nG2,Wang,S2\n"
    members = "code,name,phone,store\n" + "".join(f"M{n},张{n},1381234567{n},S1\n" for n in range(1, 6))
    for kind, text in (("stores", stores), ("guides", guides), ("members", members)):
        done = shop.run("import", kind, shop.write(f"{kind}.csv", text))
        assert done.exit_code == 0, done.output
    done = shop.run("import", "purchases", shop.write("purchases.csv", purchases(now().date())))
    assert done.exit_code == 0, done.output
    return shop


@pytest.fixture
def shop(stocked: Shop, tmp_path: Path) -> Iterator[Shop]:
    """The stocked shop copied into a database that may be changed."""
    name = f"cli_{secrets.token_hex(4)}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(stocked.address.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute(f'CREATE DATABASE "{name}" TEMPLATE "{stocked.database}" STRATEGY FILE_COPY'))
    yield Shop(stocked.home, tmp_path, name, stocked.address)
    asyncio.run(execute(f'DROP DATABASE "{name}" WITH (FORCE)'))
