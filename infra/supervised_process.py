"""One process of the supervisor: started with what ties it to us, watched, drained, killed when it must be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from infra.clock import now
from infra.lifeline import LIFELINE, READY
from infra.server_records import Identity

CODE = Path(__file__).resolve().parent.parent
"""Where the program's own modules lie."""
LONGEST_LINE = 2_000
LAST_LINES = 20
LINE_LIMIT = 1 << 20  # a longer line is cut into pieces


def python(*arguments: str) -> list[str]:
    """The command line of a module of ours; -P, or a file of the present folder could stand in for it."""
    return [sys.executable, "-P", "-m", *arguments]


def own_modules(environment: Mapping[str, str]) -> str:
    """PYTHONPATH with which `python(...)` finds this code from any folder."""
    return os.pathsep.join(part for part in (str(CODE), environment.get("PYTHONPATH", "")) if part)


@dataclass
class SupervisedProcess:
    """A running child; what it prints goes to `hear`, line by line."""

    process: Process
    identity: Identity | None
    """None if it was over before it could be looked at."""
    since: datetime
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    _listening: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        hear: Callable[[str], None],
        lifeline: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> SupervisedProcess:
        """Start it in a session of its own, so that the terminal's Ctrl-C reaches the supervisor alone.

        Args:
            command: program and arguments.
            environment: all of it.
            hear: takes each line of its output, without the line's end.
            lifeline: the reading end of the supervisor's lifeline; with it, the child is to tell when it is ready.
            pass_fds: file descriptors it inherits under the same numbers.
        """
        told = dict(environment)
        ends: tuple[int, int] | None = None
        passed = list(pass_fds)
        if lifeline is not None:
            ends = os.pipe()
            told |= {LIFELINE: str(lifeline), READY: str(ends[1])}
            passed += [lifeline, ends[1]]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                env=told,
                pass_fds=passed,
                start_new_session=True,
                limit=LINE_LIMIT,
            )
        except BaseException:
            if ends is not None:
                os.close(ends[0])
            raise
        finally:
            if ends is not None:
                os.close(ends[1])
        child = cls(process, _identity(process.pid), now())
        if ends is not None:
            child._await_ready(ends[0])
        child._listening = asyncio.create_task(child._listen(hear))
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    async def ended(self) -> int:
        """Wait for its end; gives the exit code, or minus the signal that killed it."""
        code = await self.process.wait()
        if self._listening is not None:
            # Its last words; a grandchild may hold the pipe open, and is not waited for.
            await asyncio.wait({self._listening}, timeout=1.0)
        return code

    async def ready_or_ended(self, seconds: float) -> bool:
        """Whether it told within `seconds` that it is ready; False also when it ended."""
        waits = [asyncio.ensure_future(self.ready.wait()), asyncio.ensure_future(self.process.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self.ready.is_set() and self.running

    async def drain(self, seconds: float) -> bool:
        """SIGTERM, and SIGKILL if it has not ended within `seconds`; gives whether it ended by itself."""
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self.ended()
            return False
        return True

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def _await_ready(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()

        def look() -> None:
            loop.remove_reader(descriptor)
            if os.read(descriptor, 1):
                self.ready.set()
            os.close(descriptor)

        loop.add_reader(descriptor, look)

    async def _listen(self, hear: Callable[[str], None]) -> None:
        output = self.process.stdout
        if output is None:
            return
        while True:
            try:
                line = await output.readline()
            except ValueError:  # longer than LINE_LIMIT; what was read of it is thrown away
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self.said.append(text[:LONGEST_LINE])
                hear(text)


def _identity(pid: int) -> Identity | None:
    try:
        return Identity.of(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return None
