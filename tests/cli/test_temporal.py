"""With a Temporal of yours, launching starts the plan's workflow once, and Act tells it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from temporalio.api.enums.v1 import EventType
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
    assert again == {"plan": "spring", "launched": False, "canary": [], "workflow_started": True}


async def test_losing_temporal_stops_no_command_and_is_told(shop: Shop) -> None:
    nowhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}

    async def told(*arguments: str) -> dict[str, object]:
        done = await asyncio.to_thread(shop.run, *arguments, "--json", **nowhere)
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer

    file = shop.playbook()
    launched = await told("plan", "launch", file)
    raised = await told("plan", "goal", "spring", "90", "--reason", "r")
    replaced = await told("plan", "replace-guide", "spring", "G1", "G2", "--reason", "r")
    paused = await told("plan", "pause", "spring", "--reason", "r")
    standing = await told("plan", "status", "spring")
    assert launched == {
        "plan": "spring",
        "launched": True,
        "workflow_started": False,
        "workflow_told": False,
        "canary": [],
    }
    assert [one["workflow_told"] for one in (raised, replaced, paused)] == [False, False, False]
    assert standing["status"] == "paused"


async def test_without_an_answer_the_screen_says_how_to_tell_the_workflow_later(shop: Shop) -> None:
    nowhere = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    file = shop.playbook()
    launched = await asyncio.to_thread(shop.run, "plan", "launch", file, lang="en", **nowhere)
    closed = await asyncio.to_thread(
        shop.run, "plan", "close", "spring", "--reason", "r", lang="en", **nowhere
    )
    assert "Temporal does not answer" in launched.output
    assert "plan launch" in launched.output
    assert "Temporal does not answer" in closed.output
    assert closed.exit_code == 0


async def test_a_status_said_again_is_refused_but_tells_the_workflow(shop: Shop, home: Path) -> None:
    async with dev_server(home, data_converter=pydantic_data_converter) as server:
        address = server.client.service_client.config.target_host
        await asyncio.to_thread(shop.json, "plan", "launch", shop.playbook(), TEMPORAL_ADDRESS=address)
        pause = ("plan", "pause", "spring", "--reason", "r")
        await asyncio.to_thread(shop.json, *pause, TEMPORAL_ADDRESS="127.0.0.1:1")
        again = await asyncio.to_thread(shop.run, *pause, "--json", TEMPORAL_ADDRESS=address)
        history = await server.client.get_workflow_handle("plan/spring").fetch_history()
    assert again.exit_code != 0
    assert json.loads(again.stdout)["error"]["problems"][0]["code"] == "plan_already"
    kinds = [event.event_type for event in history.events]
    assert kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) == 1
