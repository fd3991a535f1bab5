"""`daogou demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import playbooks
from activities.reporting import report_json
from cli.demo_screen import demo_screen
from cli.machine import verification_json
from cli.playbook_files import read_playbook
from cli.progress import Stages
from cli.session import Session, json_option, logs_to, pass_session
from infra.demo import DATABASE, DemoResult, run_demo

PLAYBOOK = Path(playbooks.__file__).parent / "replenishment.yaml"
SEED = 20170905


@click.command()
@click.option(
    "--seed", type=int, default=SEED, show_default=True, help="虚构数据的种子 / seed of all that is made up."
)
@json_option
@pass_session
def demo(session: Session, seed: int) -> None:
    """演示：真实购买、28 个营业日、检查 / A year of real purchases, 28 business days, a Check."""
    plan = read_playbook(PLAYBOOK)
    log = session.settings.home / "demo" / "demo.log"
    # The demo has a database of its own; one of yours is never touched.
    settings = session.settings.model_copy(update={"database_url": None, "database_admin_url": None})
    with logs_to(log), Stages(session, group="stages") as stages:
        result = session.run(run_demo(settings, plan, seed=seed, on_stage=stages))
    session.show(_machine(result, plan, seed, log), *demo_screen(session, plan, result, seed=seed, log=log))
    if not result.verification.ok:
        raise SystemExit(1)


def _machine(result: DemoResult, plan: Any, seed: int, log: Path) -> dict[str, Any]:
    return {
        "seed": seed,
        "database": DATABASE,
        "summary": result.summary,
        "summary_path": str(result.summary_path),
        "log_path": str(log),
        "report": report_json(result.report, plan.goal),
        "settled": report_json(result.settled, plan.goal),
        "verification": verification_json(result.verification),
    }
