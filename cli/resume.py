"""`daogou resume`: restart every workflow from the ledger."""

from __future__ import annotations

import click

from cli.session import Session, json_option, pass_session
from infra.clock import now
from infra.reconciler import Reconciled, Reconciler
from infra.temporal_client import connect


@click.command("resume")
@json_option
@pass_session
def resume_command(session: Session) -> None:
    """按账本重新启动全部工作流（Temporal 数据丢失或恢复备份之后）/ Restart every workflow from the ledger."""
    done = session.run(_resume(session))
    session.show(
        {
            "plans": done.plans,
            "days": done.days,
            "guide_days": done.guide_days,
            "schedules": done.schedules,
        },
        session.words(
            "resume.done",
            plans=done.plans,
            days=done.days,
            guide_days=done.guide_days,
            schedules=done.schedules,
        ),
    )


async def _resume(session: Session) -> Reconciled:
    async with session.ledger() as (ledger, _):
        client = await connect(session.settings)
        return await Reconciler(client, ledger, now).resume()
