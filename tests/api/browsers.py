"""Somebody at a browser: cookies kept, the CSRF token repeated; and accounts with a password to sign in with."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx

from activities.passwords import hash_password
from ledger.account_places import Grant
from ledger.accounts import NewAccount, create_account
from ledger.ledger import Command
from tests.api.conftest import Api
from tests.brand import at

PASSWORD = "twelve grey herons"  # noqa: S105 - of nobody
SINCE = at(1, 0)


class Browser:
    """A client with cookies of its own, at an address of its own."""

    def __init__(self, api: Api, address: str = "203.0.113.7", *, url: str = "https://127.0.0.1") -> None:
        transport = httpx.ASGITransport(api.app, client=(address, 50_000))
        self.http = httpx.AsyncClient(transport=transport, base_url=url)
        self.csrf = ""

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        return await self.http.request(method, path, json=body, headers=headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.ask("POST", path, body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.ask("DELETE", path)

    async def sign_in(self, login: str, password: str = PASSWORD) -> httpx.Response:
        return self._noted(await self.post("/v1/sessions", {"login": login, "password": password}))

    async def sign_in_by_pin(self, guide: str, pin: str) -> httpx.Response:
        return self._noted(await self.post("/v1/sessions/pin", {"guide": guide, "pin": pin}))

    def _noted(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code == 201:
            self.csrf = answer.json()["csrf"]
        return answer


async def account(
    api: Api,
    login: str,
    *grants: Grant,
    guide: UUID | None = None,
    password: str | None = PASSWORD,
    must_change: bool = False,
) -> UUID:
    """An account that signs in with a password."""
    account_id, ledger = uuid4(), api.brand.ledger
    new = NewAccount(
        account_id,
        login,
        f"name of {login}",
        guide_id=guide,
        password=None if password is None else hash_password(password),
        must_change=must_change,
    )
    async with ledger.transaction() as connection:
        await create_account(
            connection,
            ledger.tenant_id,
            Command(f"account/{account_id}", SINCE, SINCE, "test"),
            new,
            [(uuid4(), grant) for grant in grants],
        )
    return account_id


async def events_of(api: Api, stream: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and payload of each event of a stream, in order."""
    rows = await api.brand.rows("SELECT type, payload FROM event WHERE stream = $1 ORDER BY version", stream)
    return [(str(kind), dict(payload)) for kind, payload in rows]
