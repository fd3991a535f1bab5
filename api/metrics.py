"""Prometheus metrics. Several processes share one socket, so nothing is counted in memory: every figure is read from
the database when it is asked for, at a bounded cost, and kept for some seconds.
"""  # noqa: D205 - the summary is one sentence

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.context import AtHand
from api.figures import Figures
from api.problems import responses

router = APIRouter(tags=["health"])


class _Told(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """The figures in Prometheus' words."""
        told = self._figures
        lists = GaugeMetricFamily(
            "daogou_lists_published",
            "Lists published today, by time zone and release hour (local).",
            labels=("time_zone", "release"),
        )
        for one in told.lists:
            lists.add_metric((one.time_zone, one.release), one.lists)
        missed = GaugeMetricFamily(
            "daogou_schedule_misses",
            "1 where a release hour of today passed more than ten minutes ago and nobody cut its lists.",
            labels=("time_zone", "release"),
        )
        for (time_zone, release), was_missed in sorted(told.missed.items()):
            missed.add_metric((time_zone, release), float(was_missed))
        messages = GaugeMetricFamily(
            "daogou_outbox_messages", "Messages by state; settled ones of the last day.", labels=("state",)
        )
        for state, counted in sorted(told.messages.items()):
            messages.add_metric((state,), counted.messages)
        yield from (lists, missed, messages)
        for name, text, value in (
            (
                "daogou_outbox_oldest_waiting_seconds",
                "Age of the oldest waiting message.",
                told.oldest_message_s,
            ),
            (
                "daogou_oldest_transaction_seconds",
                "Age of the oldest open transaction in the database.",
                told.transaction_s,
            ),
            (
                "daogou_check_ins_per_second",
                "Check-ins taken a second, over the last minute.",
                told.check_ins_a_second,
            ),
            (
                "daogou_complaints_overdue",
                "Complaints that nobody has answered by their deadline.",
                told.complaints_overdue,
            ),
            ("daogou_sequencer_waiting", "Events without a position.", told.sequencer.rows),
            (
                "daogou_sequencer_oldest_waiting_seconds",
                "Age of the oldest of them.",
                told.sequencer.oldest_s,
            ),
        ):
            yield GaugeMetricFamily(name, text, value=value)


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses=responses() | {200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
async def metrics(here: AtHand) -> Response:
    """Figures for Prometheus, at most some seconds old; the same whichever process answers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(await here.figures.get()))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
