"""A system of record that sends to the API: it signs what it says as the Standard Webhooks specification has it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

from domain.confirmation import KINDS
from domain.webhook_signature import signature
from ledger.feeds import create_feed
from tests.api.conftest import Api

Records = Sequence[Mapping[str, Any]]


@dataclass
class Sender:
    """A source with its secret; `send` signs with the API's own clock."""

    api: Api
    source: str
    secret: bytes
    messages: int = 0

    async def send(
        self,
        records: Records = (),
        complete_until: Mapping[str, datetime] | None = None,
        *,
        message: str | None = None,
        signed_at: datetime | None = None,
        secret: bytes | None = None,
        sent: bytes | None = None,
    ) -> httpx.Response:
        """Send a message; `sent` are the bytes on the line where they differ from those that were signed."""
        self.messages += 1
        told = message or f"msg-{self.messages}"
        body = {"records": [plain(one) for one in records]}
        if complete_until is not None:
            body["complete_until"] = plain(complete_until)
        raw = json.dumps(body).encode()
        timestamp = int((signed_at or self.api.now).timestamp())
        headers = {
            "webhook-id": told,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secret or self.secret, told, timestamp, raw),
            "content-type": "application/json",
        }
        address = f"/v1/feeds/{self.source}"
        return await self.api.http.post(address, content=raw if sent is None else sent, headers=headers)


async def sender(api: Api, source: str = "pbx", kinds: Sequence[str] = KINDS) -> Sender:
    """A source that may send."""
    brand = api.brand
    command = brand.command(f"feed/{source}/create")
    secret = await create_feed(brand.ledger, command, source, uuid4(), kinds=kinds)
    return Sender(api, source, secret)


def call(key: str = "c1", **more: Any) -> dict[str, Any]:
    """A call of guide G1 to member M1, answered for a minute."""
    told = {"kind": "calls", "key": key, "guide": "G1", "seconds": 60, "answered": True} | more
    return told if "phone" in told else {"member": "M1"} | told


def plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """With instants as JSON has them."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}
