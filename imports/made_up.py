"""What The Complete Journey does not have, made from a seed: names, phones, positions, guides.

None of it is real, and every screen that shows it says so. What a member bought, where and when is
recorded; a member's home store is where most was bought *before* the launch, so that nothing looks ahead.
"""

from __future__ import annotations

from datetime import date, datetime, time

import polars as pl

from domain.identifiers import draw
from imports.complete_journey import STORE_TIME_ZONE, households, stores

REGIONS = ("东区", "南区", "西区", "北区", "中区")
# Made-up towns some 30 km apart; stores lie within 9 km of theirs, members within 4 km of their store.
_CENTRES = ((40.00, -82.60), (39.70, -83.00), (40.00, -83.40), (40.30, -83.00), (40.00, -83.00))
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗"
_GIVEN = "芳娜敏静丽强磊洋艳勇军杰娟涛明超秀霞平刚桂英华慧巧美雅文"
SKILLS = ("母婴顾问", "咖啡师")


def stores_frame(seed: int) -> pl.DataFrame:
    """The 457 stores with made-up regions and positions."""
    rows = []
    for code in stores():
        region = draw(seed, "region", code, below=len(REGIONS))
        latitude, longitude = _near(seed, _CENTRES[region], "store", code, metres=9_000)
        rows.append((code, f"{REGIONS[region]}{code}店", REGIONS[region], latitude, longitude))
    frame = pl.DataFrame(rows, schema=["code", "name", "region", "latitude", "longitude"], orient="row")
    return frame.with_columns(
        time_zone=pl.lit(STORE_TIME_ZONE), opens_at=pl.lit("09:00"), closes_at=pl.lit("21:00")
    )


def home_stores(purchases: pl.DataFrame, *, before: date) -> dict[str, str]:
    """Member to the store where most baskets were bought before a date; members without one are left out."""
    counted = (
        purchases.lazy()
        .filter(pl.col("occurred_at") < datetime.combine(before, time(0)))
        .group_by("member", "store")
        .agg(baskets=pl.col("basket").n_unique())
        .sort("member", "baskets", "store", descending=[False, True, False])
        .unique("member", keep="first", maintain_order=True)
        .collect()
    )
    return {str(member): str(store) for member, store in counted.select("member", "store").iter_rows()}


def members_frame(seed: int, home: dict[str, str]) -> pl.DataFrame:
    """The 2,469 households as members with made-up names, phones and positions."""
    places = {
        code: (latitude, longitude)
        for code, latitude, longitude in stores_frame(seed)
        .select("code", "latitude", "longitude")
        .iter_rows()
    }
    rows = []
    for code in households():
        store = home.get(code)
        position = _near(seed, places[store], "member", code, metres=4_000) if store else (None, None)
        phone = f"1990{draw(seed, 'member-phone', code, below=10_000_000):07d}"
        rows.append((code, _name(seed, "member", code), phone, store, *position))
    schema = {
        "code": pl.String,
        "name": pl.String,
        "phone": pl.String,
        "store": pl.String,
        "latitude": pl.Float64,
        "longitude": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def guides_frame(seed: int, home: dict[str, str], *, guides: int) -> pl.DataFrame:
    """Made-up guides, one in each of the stores with most members, and a second round from the top."""
    count: dict[str, int] = {}
    for store in home.values():
        count[store] = count.get(store, 0) + 1
    busiest = sorted(count, key=lambda store: (-count[store], store))
    staffed = busiest[: max(1, guides * 4 // 5)]
    rows = []
    for number in range(guides):
        code = f"G{number + 1:03d}"
        rows.append(
            (
                code,
                _name(seed, "guide", code),
                f"1991{draw(seed, 'guide-phone', code, below=10_000_000):07d}",
                staffed[number % len(staffed)],
                SKILLS[draw(seed, "skill", code, below=len(SKILLS))],
                str(20 + draw(seed, "performance", code, below=40)),
            )
        )
    return pl.DataFrame(
        rows, schema=["code", "name", "phone", "store", "skills", "performance"], orient="row"
    )


def _name(seed: int, kind: str, code: str) -> str:
    surname = _SURNAMES[draw(seed, kind, "surname", code, below=len(_SURNAMES))]
    length = 1 + draw(seed, kind, "length", code, below=2)
    given = (_GIVEN[draw(seed, kind, "given", code, str(at), below=len(_GIVEN))] for at in range(length))
    return surname + "".join(given)


def _near(
    seed: int, centre: tuple[float, float], kind: str, code: str, *, metres: int
) -> tuple[float, float]:
    # A degree of latitude is 111 km; of longitude at 40° north, 85 km.
    north = draw(seed, kind, "north", code, below=2 * metres + 1) - metres
    east = draw(seed, kind, "east", code, below=2 * metres + 1) - metres
    return round(centre[0] + north / 111_000, 5), round(centre[1] + east / 85_000, 5)
