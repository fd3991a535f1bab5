"""Workflows are told behind the asker's back: with Temporal there they hear of it, without it no answer waits."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from domain.policy import Role
from infra.embedded_temporal import dev_server
from infra.settings import Settings
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.brand import Brand, at, written
from tests.identities import identity

REASON = {"reason": "because"}


async def client(shop: Brand, served: Ledger, temporal: str) -> httpx.AsyncClient:
    settings = Settings(home=Path("nowhere"), temporal_address=temporal)
    app = create_app(settings, served, clock=lambda: at(1))
    token = await identity(shop.ledger, "hq", Grant(Role.HQ))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://127.0.0.1",
        headers={"Authorization": f"Bearer {token}"},
    )


async def signals(handle: WorkflowHandle[object, object]) -> int:
    history = await handle.fetch_history()
    return sum(
        event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED for event in history.events
    )


async def test_a_launch_starts_the_workflow_and_a_command_tells_it(
    shop: Brand, served: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.category("SOAP")
    async with dev_server(home, data_converter=pydantic_data_converter) as server:
        address = server.client.service_client.config.target_host
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        handle = server.client.get_workflow_handle("plan/p1")
        async with await client(shop, served, address) as http:
            assert (await http.get("/health/ready")).json()["temporal"] == "answers"
            assert (await http.post("/v1/plans", json=written())).status_code == 201
            deadline = time.monotonic() + 15
            while not [one async for one in server.client.list_workflows("WorkflowId = 'plan/p1'")]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert (await http.post("/v1/plans/p1/pause", json=REASON)).status_code == 200
            while not await signals(handle):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)


async def test_with_temporal_away_every_command_is_done_and_answered_at_once(
    shop: Brand, served: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.category("SOAP")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    async with await client(shop, served, "127.0.0.1:1") as http:
        began = time.monotonic()
        assert (await http.post("/v1/plans", json=written())).status_code == 201
        assert (await http.post("/v1/plans/p1/pause", json=REASON)).status_code == 200
        assert time.monotonic() - began < 2
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["temporal"]) == (200, "does_not_answer")
