"""What ties a process to the `daogou up` that started it: told through two inherited pipes.

The lifeline is a pipe nobody ever writes to; only the supervisor holds its writing end. When the
supervisor ends, killed or not, the pipe is at its end and the process drains: no orphans. The other pipe
carries one byte, from the process to the supervisor: I am ready.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

LIFELINE = "DAOGOU_LIFELINE"
"""Names the file descriptor of the lifeline's reading end; not set where nobody supervises."""
READY = "DAOGOU_READY"
"""Names the file descriptor readiness is told on."""


async def lifeline_cut() -> None:
    """Return when the supervisor is gone; never, where there is none."""
    cut = asyncio.Event()
    descriptor = os.environ.get(LIFELINE)
    if not descriptor:
        await cut.wait()
        return
    loop = asyncio.get_running_loop()
    # Nobody writes to it, so the one thing it can be ready for is its end.
    loop.add_reader(int(descriptor), cut.set)
    try:
        await cut.wait()
    finally:
        loop.remove_reader(int(descriptor))


def tell_ready() -> None:
    """Tell the supervisor that this process does its work now; does nothing where there is none."""
    descriptor = os.environ.pop(READY, None)
    if not descriptor:
        return
    with suppress(OSError):  # a supervisor that is gone needs no telling
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))
