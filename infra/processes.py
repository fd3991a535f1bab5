"""Small things every embedded server needs of processes, ports and signals."""

import asyncio
import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

import psutil

HOST = "127.0.0.1"
_T = TypeVar("_T")


def alive(process: psutil.Process) -> bool:
    """Whether the process runs; a zombie nobody has reaped yet counts as ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_ended(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits up to `seconds` for the processes to end; gives those still running."""
    deadline = time.monotonic() + seconds
    while (left := [process for process in processes if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Signals the process unless it has ended."""
    try:
        process.send_signal(number)  # psutil checks the creation time first, so a reused pid is safe
    except psutil.NoSuchProcess:
        return


def send_until_ended(process: psutil.Process, seconds: float = 5.0) -> None:
    """Asks the process to end and kills it if it has not within `seconds`."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        send(process, number)
        if not wait_ended([process], seconds):
            return


@contextmanager
def terminate_as_exit() -> Iterator[None]:
    """Turns SIGTERM into SystemExit(143), so that context managers clean up; for the entry point.

    A further SIGTERM during the clean-up is ignored. Outside the main thread, where Python takes no
    signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(143)

    old = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def run_until_terminated(work: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run`, with SIGTERM cancelling the work as Ctrl-C does.

    An exception raised from a signal handler would surface in whatever callback happens to run, an activity
    for instance, and end that instead of the program.

    Raises:
        SystemExit: 143, after the work has cleaned up behind itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    terminated = False
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> _T:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            if task is not None:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if terminated:
            raise SystemExit(143) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def end_at_once(code: int) -> NoReturn:
    """End this process without taking the interpreter apart; for the end of an entry point.

    A thread of Temporal's core may still be letting go of the interpreter when the work is long done; Python 3.11
    then aborts ("PyGILState_Release: thread state must be current", exit 134, seen after a command had succeeded).
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what others asked for at exit (logs, coverage) is done all the same
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may be gone
            stream.flush()
    os._exit(code)


def run_entry(entry: Callable[[], object]) -> None:
    """Run an entry point's command and end the process with its exit code, at once."""
    try:
        entry()
    except SystemExit as ended:
        if ended.code is not None and not isinstance(ended.code, int):
            raise
        end_at_once(ended.code or 0)
    end_at_once(0)


def free_port() -> int:
    """A TCP port free on the loopback at this moment; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
