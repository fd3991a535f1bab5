"""One API process as `daogou up` starts it, on the benchmark's day: the clock stands at ten in the morning."""

from __future__ import annotations

import sys

import uvloop

from api.serve import inherited, serve
from bench.brand import at
from infra.logs import configure_logs, log_file
from infra.processes import run_entry
from infra.settings import read_settings


def main() -> None:
    """Serve the socket whose descriptor is named."""
    configure_logs(to=log_file())
    uvloop.run(serve(read_settings(), inherited(int(sys.argv[1])), clock=lambda: at(10)))


if __name__ == "__main__":
    run_entry(main)
