"""`daogou rebuild`: projections built anew from the events, online."""

from __future__ import annotations

import click
from rich.console import RenderableType
from rich.text import Text

from cli.layout import number, table
from cli.progress import Stages
from cli.session import Session, json_option, pass_session
from ledger.folding.rebuilding import Rebuilt, owner, rebuild


@click.command("rebuild")
@click.argument("projections", metavar="[PROJECTION]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="只比较，不改动 / compare and change nothing.")
@json_option
@pass_session
def rebuild_command(session: Session, projections: tuple[str, ...], dry_run: bool) -> None:
    """按事件重建投影表，照常营业 / Build projections anew from the events while everything runs."""
    with Stages(session, group="rebuild_stages") as stages:
        done = session.run(_rebuild(session, stages, projections, dry_run=dry_run))
    words = session.words
    made = table(
        words("rebuild.projection"), words("rebuild.rows"), words("rebuild.differing"), words("rebuild.before"),
        words("rebuild.told"), words("rebuild.after"), right=(1, 2),
    )  # fmt: skip
    for one in done:
        after = "—" if dry_run else one.after
        made.add_row(one.projection, number(one.rows), number(one.differing), one.before, one.told, after)
    differing, left = sum(one.differing for one in done), sum(one.left for one in done)
    key = "right" if not differing else "would_mend" if dry_run else "mended"
    told = {"differing": number(differing), "projections": len(done)}
    style = "bold yellow" if dry_run and differing else "bold green"
    screen: list[RenderableType] = [made, Text(words(f"rebuild.{key}", **told), style=style)]
    if left:
        screen.append(Text(words("rebuild.left", left=number(left)), style="bold red"))
    session.show(
        {"dry_run": dry_run, "differing": differing, "left": left, "projections": done},
        *screen,
    )
    if left or (dry_run and differing):
        raise SystemExit(1)


async def _rebuild(
    session: Session, stages: Stages, projections: tuple[str, ...], *, dry_run: bool
) -> list[Rebuilt]:
    def tell(stage: str, _table: str) -> None:
        stages(stage, 1, 1)

    async with session.ledger() as (ledger, urls):
        if dry_run:
            async with ledger.connection() as connection:
                return await rebuild(
                    connection, ledger.tenant_id, only=projections, dry_run=True, on_progress=tell
                )
        async with owner(urls.admin) as connection:
            return await rebuild(connection, ledger.tenant_id, only=projections, on_progress=tell)
