"""The store robot at the other end: a webhook on the loopback that keeps what it was told."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from infra.processes import HOST


@dataclass
class Receiver:
    """Its port, and how often each message reached each of its paths."""

    port: int = 0
    purposes: Counter[str] = field(default_factory=Counter)
    """The message's own name, which a webhook is told: nudge/{guide}/{date}/{slot}."""
    texts: Counter[str] = field(default_factory=Counter)

    def address(self, store: str) -> str:
        """The endpoint of a store."""
        return f"json://{HOST}:{self.port}/{store}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive while the block runs."""
    receiver, lock = Receiver(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take a message."""
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                receiver.purposes[f"{told['purpose']} {self.path}"] += 1
                # Without the count of open items, which is taken anew at each attempt.
                receiver.texts[
                    told["message"].partition("：")[0] + told["message"].partition("（")[2][:4]
                ] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
