"""The application on a real server, in a thread with a loop of its own, for clients that ask from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import uvicorn

from api.app import create_app
from api.serve import bind
from infra.settings import Settings
from ledger.database import API, open_database
from ledger.ledger import Ledger
from ledger.member_keys import MemberKeys


@contextmanager
def serving(database_url: str, keys: MemberKeys, now: datetime) -> Iterator[str]:
    """Serve tenant 1 of a database, by the API's login, at a standing instant; gives the address."""
    listening = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    started = threading.Event()
    servers: list[uvicorn.Server] = []

    async def run() -> None:
        engine = open_database(database_url, tenant_id=1, role=API)
        app = create_app(Settings(home=Path("nowhere")), Ledger(engine, 1, keys=keys), clock=lambda: now)
        servers.append(uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)))
        started.set()
        await servers[0].serve(sockets=[listening])
        await engine.dispose()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(10)
    try:
        yield url
    finally:
        servers[0].should_exit = True
        thread.join(20)
