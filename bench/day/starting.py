"""The guide-days of a whole zone started on Temporal's dev server as `daogou up` runs it, workers and all.

The day's own workflow starts them, in its bounded window, while the same worker opens those that run already. The business's
clock hangs beside the present so that it is a minute after the release hour.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import perf_counter
from typing import Any

from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.day.brand import RELEASE, Shape
from bench.day.cutting import opened, ours_urls
from bench.ledger.dispatch import Place
from domain.messages import BusinessTime, DayRun
from infra.clock import now
from infra.databases import ensure_months
from infra.workers import running_workers
from workflows.dispatch import DispatchWorkflow
from workflows.guide_day import GuideDayWorkflow
from workflows.options import DAYS


class Starts(Interceptor):
    """Takes the time of every start of a guide-day."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self.all = asyncio.Event()
        self.seconds: list[float] = []
        self.first = self.last = 0.0
        """When the first began and the last one ended, by `perf_counter`."""

    def add(self, began: float) -> None:
        """One that has just ended."""
        self.first, self.last = self.first or began, perf_counter()
        self.seconds.append(self.last - began)
        if len(self.seconds) == self._expected:
            self.all.set()

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - Temporal's name
        """Stand before the client."""
        return _Timed(next, self)


class _Timed(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, starts: Starts) -> None:
        super().__init__(following)
        self._starts = starts

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:  # noqa: A002
        """Start it."""
        began = perf_counter()
        handle = await super().start_workflow(input)
        if input.workflow == GuideDayWorkflow.__name__:
            self._starts.add(began)
        return handle


async def measure_starts(place: Place, address: str, shape: Shape, *, patience: timedelta) -> Starts:
    """Start the guide-days that `bench.day.cutting` left published.

    Raises:
        SystemExit: not all of them are started in time.
    """
    starts = Starts(shape.guides)
    urls = await ours_urls(place)
    async with opened(urls, place) as ledger:
        await ensure_months(ledger, now().date(), now().date())
        client = await Client.connect(address, data_converter=pydantic_data_converter, interceptors=[starts])
        async with running_workers(client, ledger):
            ahead = (shape.at(9, 1) - now()).total_seconds()
            await client.start_workflow(
                DispatchWorkflow.run,
                DayRun(
                    day=shape.day,
                    time_zone=shape.time_zone,
                    release=RELEASE,
                    time=BusinessTime(offset_seconds=round(ahead)),
                ),
                id=f"dispatch/{shape.time_zone}/{RELEASE}/{shape.day}",
                task_queue=DAYS,
            )
            try:
                await asyncio.wait_for(starts.all.wait(), patience.total_seconds())
            except TimeoutError:
                raise SystemExit(f"{len(starts.seconds)} guide-days started within {patience}") from None
    return starts
