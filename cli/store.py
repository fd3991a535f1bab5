"""`daogou store`: which stores there are, and the regions and dealers they belong to: where a role may be granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click
from rich.console import RenderableType
from rich.text import Text

from cli.layout import NOTHING, labelled, number, table
from cli.session import Session, json_option, pass_session
from ledger.stores import Places, StoreLine, list_places, list_stores
from wording.catalogue import Catalogue

MOST = 1000


@click.group()
def store() -> None:
    """门店、区域、经销商 / Stores, regions, dealers."""


@store.command("list")
@click.option("--region", metavar="REGION", help="只看一个区域 / only this region's.")
@click.option("--dealer", metavar="DEALER", help="只看一个经销商 / only this dealer's.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="最多几家 / how many."
)
@click.option("--after", metavar="STORE", help="从这个编码之后继续 / go on after this code.")
@json_option
@pass_session
def list_command(
    session: Session, region: str | None, dealer: str | None, limit: int, after: str | None
) -> None:
    """门店，以及可以授予角色的区域和经销商 / Stores, and the regions and dealers a role may be granted in."""

    async def read() -> tuple[list[StoreLine], Places]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            found = await list_stores(
                connection, ledger.tenant_id, region=region, dealer=dealer, after=after, limit=limit + 1
            )
            return found, await list_places(connection, ledger.tenant_id)

    found, places = session.run(read())
    shown = found[:limit]
    following = shown[-1].store if len(found) > limit else None
    session.show(
        {"stores": [asdict(one) for one in shown], "next": following, **asdict(places)},
        *_screen(session.words, shown, places, following),
    )


def _screen(
    words: Catalogue, stores: Sequence[StoreLine], places: Places, following: str | None
) -> list[RenderableType]:
    if not stores:
        return [words("store.none")]
    made = table(
        words("staff.store"), words("store.name"), words("store.region"), words("store.dealer"), words("store.hours"),
        words("store.zone"), fold=(1, 2, 3, 5),
    )  # fmt: skip
    for one in stores:
        hours = f"{one.opens_at}-{one.closes_at}"
        if one.last_on is not None:
            hours = words("store.until", day=one.last_on)
        made.add_row(
            one.store, Text(one.name), Text(one.region or NOTHING), Text(one.dealer or NOTHING), hours, one.time_zone
        )  # fmt: skip
    more = [words("store.more", store=following)] if following else []
    return [
        made,
        *more,
        "",
        labelled(
            (words("store.regions"), _counted(words, places.regions)),
            (words("store.dealers"), _counted(words, places.dealers)),
        ),
        words("store.granted_in"),
    ]


def _counted(words: Catalogue, places: Mapping[str, int]) -> str:
    return (
        " · ".join(words("store.counted", place=place, stores=number(many)) for place, many in places.items())
        or NOTHING
    )
