"""A browser that asks the application by its public name, over https."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from api.app import create_app
from infra.edge_settings import Edge
from infra.settings import Settings
from ledger.ledger import Command, Ledger
from ledger.linked_identities import Way, link_identity
from tests.brand import Brand, at

PUBLIC = "https://shop.example"
NOW = at(2, 10)


@dataclass
class Browser:
    """Its own cookies; the application's clock stands where a test puts it."""

    http: httpx.AsyncClient
    now: list[Any]

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.http.get(path, params=query or None)

    async def sent_to(self, path: str) -> str:
        """Where a route sends the browser."""
        answer = await self.http.get(path)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@asynccontextmanager
async def browsing(served: Ledger, **settings: Any) -> AsyncIterator[Browser]:
    now = [NOW]
    told = Settings(home=Path("nowhere"), edge=Edge(public_url=PUBLIC), **settings)
    app = create_app(told, served, clock=lambda: now[0])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC) as http:
        yield Browser(http, now)


async def link(brand: Brand, account: UUID, way: Way, identity: str | None) -> None:
    command = Command(f"link/{account}/{way}/{identity}", NOW, NOW, "test")
    async with brand.ledger.transaction() as connection:
        await link_identity(connection, 1, command, account, way, identity)


async def events(brand: Brand, stream: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and payload of the events of a stream, oldest first."""
    async with brand.ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT type, payload FROM event WHERE tenant_id = 1 AND stream = $1 ORDER BY version", stream
        )
    return [(row["type"], _read(row["payload"])) for row in rows]


async def sessions(brand: Brand) -> int:
    """How many sessions were ever begun."""
    return int(await brand.value("SELECT count(*) FROM credential WHERE kind = 'session'"))


def _read(payload: Any) -> dict[str, Any]:
    return dict(payload if isinstance(payload, dict) else json.loads(payload))
