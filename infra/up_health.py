"""How an `up` is: each of its four parts asked, all at once, each with a deadline."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass

import asyncpg
import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import DaogouError
from infra.core_logs import forward_core_logs
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.processes import HOST
from infra.settings import Settings
from infra.temporal_client import connect
from infra.up_state import UpState
from ledger.database import DATABASE_LOST, WORKER
from ledger.pool import connect_arguments
from workflows.options import QUEUES

ANSWER_S = 5.0
NONE_ASKED = "none asked for"


@dataclass(frozen=True, slots=True)
class Health:
    """Of one part; `detail` is for the person who looks into it."""

    ok: bool
    detail: str


async def healths(settings: Settings, state: UpState) -> dict[str, Health]:
    """`api`, `worker`, `temporal` and `database` of a running `up`."""
    asked = {
        "api": _api(state),
        "worker": _worker(settings, state),
        "temporal": _temporal(settings, state),
        "database": _database(settings, state),
    }
    return dict(zip(asked, await asyncio.gather(*(_in_time(ask) for ask in asked.values())), strict=True))


async def _in_time(ask: Awaitable[Health]) -> Health:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await ask
    except TimeoutError:
        return Health(ok=False, detail=f"no answer within {ANSWER_S:.0f} s")
    except (
        DaogouError,
        RPCError,
        RuntimeError,  # what the Temporal SDK raises where nothing listens
        ValueError,
        httpx.HTTPError,
        *DATABASE_LOST,
    ) as error:
        return Health(ok=False, detail=f"{type(error).__name__}: {error}".splitlines()[0])


async def _api(state: UpState) -> Health:
    if state.api is None:
        return Health(ok=state.apis == 0, detail=NONE_ASKED if state.apis == 0 else "not started yet")
    # A proxy has no business between us and this machine; a certificate is for the public name, so its file is asked for.
    async with httpx.AsyncClient(trust_env=False, verify=_showing(state.api_cert)) as http:
        answer = await http.get(f"{state.api}/health/live", headers={"host": "localhost"})
    return Health(ok=answer.is_success, detail=f"/health/live {answer.status_code}")


def _showing(certificate: str | None) -> ssl.SSLContext | bool:
    """Trust in nothing but this certificate, whatever name it is for."""
    if certificate is None:
        return True
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def _temporal(settings: Settings, state: UpState) -> Health:
    client = await _client(settings, state)
    serving = await client.service_client.check_health()
    return Health(ok=serving, detail=f"namespace {client.namespace}")


async def _worker(settings: Settings, state: UpState) -> Health:
    """Whether one of our workers polls each queue; Temporal also lists those that died minutes ago."""
    if not state.workers:
        return Health(ok=True, detail=NONE_ASKED)
    ours = state.processes("worker")
    client = await _client(settings, state)
    polled = await asyncio.gather(*(_pollers(client, queue, ours) for queue in QUEUES))
    idle = [queue for queue, pollers in zip(QUEUES, polled, strict=True) if not pollers]
    if idle:
        return Health(ok=False, detail=f"no poller on {', '.join(idle)}")
    return Health(ok=True, detail=f"{min(polled)} of {state.workers} polling {', '.join(QUEUES)}")


async def _pollers(client: Client, queue: str, ours: set[int]) -> int:
    """How many of our processes poll the queue; an identity begins with the pid."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return len({poller.identity.partition("@")[0] for poller in answer.pollers} & {str(pid) for pid in ours})


async def _client(settings: Settings, state: UpState) -> Client:
    if state.temporal is None:
        raise ConnectionError("not started yet")
    if settings.temporal_address is not None and state.temporal_ui is None:
        return await connect(settings)
    forward_core_logs()
    return await Client.connect(state.temporal)


async def _database(settings: Settings, state: UpState) -> Health:
    if state.database is None:
        return Health(ok=False, detail="not started yet")
    url = settings.database_url
    if state.database_port is not None:
        password = await asyncio.to_thread(EmbeddedPostgres(settings.home).role_password, WORKER)
        address = PostgresAddress(HOST, state.database_port, WORKER, password)
        url = address.url(state.database.rpartition("/")[2])
    elif url is None:
        raise ValueError("DATABASE_URL is not set here, so its password is not known")
    connection = await asyncpg.connect(**connect_arguments(url), timeout=ANSWER_S)
    try:
        version = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return Health(ok=True, detail=f"PostgreSQL {version}")
