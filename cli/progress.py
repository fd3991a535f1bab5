"""Progress of long work: bars on a terminal, a few plain lines anywhere else. Always on stderr."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cli.session import Session

PLAIN_STEPS = 4
"""Lines a stage prints where no terminal is watching, at most."""


class Stages:
    """Call it with the stage, how much is done and how much there is."""

    def __init__(self, session: Session, *, group: str) -> None:
        self._words = session.words
        self._group = group
        self._console = session.err
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._bars: Progress | None = None
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note how far a stage has got."""
        name = self._words(f"{self._group}.{stage}")
        if self._bars is None:
            self._plain(stage, name, done, max(total, 1))
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(name, total=max(total, 1))
        self._bars.update(self._tasks[stage], completed=done if total else 1, total=max(total, 1))

    def _plain(self, stage: str, name: str, done: int, total: int) -> None:
        self._began.setdefault(stage, monotonic())
        step = PLAIN_STEPS * done // total
        if step <= self._told.get(stage, 0) or (total == 1 and done < total):
            return
        self._told[stage] = step
        seconds = monotonic() - self._began[stage]
        self._console.print(f"{name} {done:,}/{total:,} · {seconds:.0f} s")
