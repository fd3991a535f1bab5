"""With a Temporal of yours, launching starts the plan's workflow once, and Act tells it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter

from infra.embedded_temporal import dev_server
from tests.cli.shop import Shop


async def test_a_launch_starts_the_workflow_once_and_act_tells_it(shop: Shop, home: Path) -> None:
    file = shop.playbook()
    async with dev_server(home, data_converter=pydantic_data_converter) as server:
        address = server.client.service_client.config.target_host

        async def told(*arguments: str) -> dict[str, object]:
            answer = await asyncio.to_thread(shop.json, *arguments, TEMPORAL_ADDRESS=address)
            assert isinstance(answer, dict)
            return answer

        first = await told("plan", "launch", file)
        again = await told("plan", "launch", file)
        paused = await told("plan", "pause", "spring", "--reason", "r")
        raised = await told("plan", "goal", "spring", "90", "--reason", "r")
        described = await server.client.get_workflow_handle("plan/spring").describe()

    assert (first["launched"], first["workflow_started"]) == (True, True)
    assert (again["launched"], again["workflow_started"]) == (False, False)
    assert (paused["workflow_told"], raised["workflow_told"]) == (True, True)
    assert described.workflow_type == "PlanWorkflow"
    assert described.task_queue == "daogou-plans"


async def test_a_plan_launched_without_temporal_is_started_by_launching_it_again(
    shop: Shop, home: Path
) -> None:
    file = shop.playbook()
    await asyncio.to_thread(shop.json, "plan", "launch", file)
    async with dev_server(home, data_converter=pydantic_data_converter) as server:
        address = server.client.service_client.config.target_host
        again = await asyncio.to_thread(shop.json, "plan", "launch", file, TEMPORAL_ADDRESS=address)
    assert again == {"plan": "spring", "launched": False, "workflow_started": True}
