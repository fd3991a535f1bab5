"""Worker versioning is a setting: with it a real server runs the workflows under a build that was made current."""

from __future__ import annotations

from pathlib import Path

from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from domain.messages import Released, ReleaseRun
from infra.embedded_temporal import dev_server
from infra.workers import DEPLOYMENT, running_workers
from tests.conftest import LedgerDatabase
from tests.live import until
from workflows.options import DAYS
from workflows.release import ReleaseWorkflow


async def test_a_versioned_worker_runs_what_its_build_was_made_current_for(
    ledger_database: LedgerDatabase, tmp_path: Path
) -> None:
    async with (
        dev_server(tmp_path, data_converter=pydantic_data_converter) as server,
        running_workers(server.client, ledger_database.ledger, build_id="b1"),
    ):

        async def made_current() -> bool:
            request = SetWorkerDeploymentCurrentVersionRequest(
                namespace="default",
                deployment_name=DEPLOYMENT,
                build_id="b1",
                ignore_missing_task_queues=True,
            )
            try:
                await server.client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:
                return False  # its pollers are not known yet
            return True

        await until(made_current, "the server to know the build")
        released: Released = await server.client.execute_workflow(
            ReleaseWorkflow.run,
            ReleaseRun(time_zone="Asia/Shanghai", release="09:00"),
            id="release/versioned",
            task_queue=DAYS,
        )
        described = await server.client.get_workflow_handle("release/versioned").describe()
    assert released.started
    assert (
        described.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id == "b1"
    )
