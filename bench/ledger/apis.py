"""API processes on one socket, as `daogou up` runs them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from api.serve import bind
from infra.databases import DatabaseUrls
from infra.processes import HOST

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 2
"""As `daogou up` runs them."""
START_S = 60.0
END_S = 20.0
FOREIGN = ("TEMPORAL_", "DATABASE_", "DAOGOU_", "CHAOS_")


@asynccontextmanager
async def running_apis(urls: DatabaseUrls, home: Path, processes: int = PROCESSES) -> AsyncIterator[int]:
    """API processes on one port of the loopback while the block runs; gives the port."""
    listening = bind(HOST, 0)
    port = int(listening.getsockname()[1])
    told = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": urls.worker,
        "DATABASE_API_URL": urls.api,
        "DAOGOU_HOME": str(home),
    }
    listening.set_inheritable(True)
    running = [
        subprocess.Popen(  # noqa: S603, ASYNC220 - our own command
            [sys.executable, "-P", "-m", "bench.ledger.api_process", str(listening.fileno())],
            env=told,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
        )
        for _ in range(processes)
    ]
    listening.close()
    try:
        await _ready(port, running)
        yield port
    finally:
        for process in running:
            process.terminate()
        for process in running:
            await asyncio.to_thread(process.wait, END_S)


async def _ready(port: int, running: list[subprocess.Popen[bytes]]) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(START_S):
        # The kernel gives a connection to whichever process accepts first, so several must be answered.
        for _ in range(4 * len(running)):
            while True:
                try:
                    answer = await client.get(
                        f"http://{HOST}:{port}/health/live", headers={"connection": "close"}
                    )
                    if answer.status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                if any(process.poll() is not None for process in running):
                    raise SystemExit("an API process ended while starting: nothing would be measured")
