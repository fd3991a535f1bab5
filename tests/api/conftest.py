"""The application on a real database; over a real server where sockets and signals matter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.app import create_app
from domain.policy import Role
from infra.settings import Settings
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.brand import Brand, at
from tests.identities import identity
from tests.shared_database import brand, database, ledger, served, shared_database, shop

__all__ = ["brand", "database", "ledger", "served", "shared_database", "shop"]


@dataclass
class Api:
    """A client of the application, and the clock the application reads."""

    brand: Brand
    now: datetime = field(default_factory=lambda: at(2, 10))
    app: FastAPI = field(init=False)
    http: httpx.AsyncClient = field(init=False)
    keys: int = 0
    served: Ledger | None = None
    """On the role of the API."""
    enforcing: bool = True
    token: str = ""

    def __post_init__(self) -> None:
        settings = Settings(home=Path("nowhere"))
        self.app = create_app(
            settings, self.served or self.brand.ledger, clock=lambda: self.now, enforcing=self.enforcing
        )
        transport = httpx.ASGITransport(self.app)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)

    def forget(self) -> None:
        """Make the application read its figures anew."""
        here = self.app.state.here
        here.figures._found = None

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = None, **query: Any
    ) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.http.post(path, json=body, headers=headers, params=query)

    async def check_in(self, task: UUID | str, *, key: str | None = None, **report: Any) -> httpx.Response:
        self.keys += 1
        body = {"performed_by": "G1", "channel": "phone", "outcome": "interested"} | report
        return await self.post(f"/v1/tasks/{task}/check-ins", body, key=key or f"k{self.keys}")


def problem(answer: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    """Status, and field and code of each problem; the answer is a problem as RFC 9457 has it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"].startswith("urn:daogou:problem:")
    assert told["title"]
    assert told["detail"]
    assert all(one["reason"] and one["remedy"] for one in told["problems"])
    return answer.status_code, [(one["field"], one["code"]) for one in told["problems"]]


@pytest_asyncio.fixture
async def api(shop: Brand, served: Ledger) -> AsyncIterator[Api]:
    """The application over store S1 and its guide G1, on Monday, 2 March 2026, 10:00 there."""
    token = await identity(shop.ledger, "hq", Grant(Role.HQ))
    made = Api(shop, served=served, token=token)
    async with made.http:
        yield made


@pytest_asyncio.fixture
async def tasks(shop: Brand) -> list[UUID]:
    """G1's items of Monday: members M1 to M3, the list published."""
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    return [await shop.task(member) for member in await shop.listed(2, guide)]


@pytest.fixture
def task(tasks: list[UUID]) -> UUID:
    return tasks[0]
