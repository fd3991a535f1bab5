"""Calendars over HTTP: day by day, and why an instant is not permitted."""

from __future__ import annotations

from tests.api.conftest import Api, problem


async def test_a_store_tells_its_days_with_the_layer_that_decided(api: Api) -> None:
    answer = await api.get("/v1/calendars/stores/S1", first="2026-09-30", last="2026-10-01")
    assert answer.status_code == 200
    told = answer.json()
    first, holiday = told["days"]
    assert (first["worked"], first["hours"]) == (True, ["09:00-21:00"])
    assert (holiday["worked"], holiday["layer"], holiday["subject"], holiday["name"]) == (
        False,
        "national",
        "CN",
        "国庆节",
    )
    assert (told["time_zone"], told["quiet_hours"], told["unknown_years"]) == (
        "Asia/Shanghai",
        "22:00-08:00",
        {},
    )


async def test_why_an_instant_is_not_permitted_is_told_with_the_next_that_is(api: Api) -> None:
    query = {"at": "2026-09-30T22:00:00+08:00", "for": "work"}
    told = (await api.get("/v1/calendars/guides/G1/permitted", **query)).json()
    assert (told["permitted"], told["next"]) == (False, "2026-10-08T01:00:00Z")
    assert [move["code"] for move in told["moves"]] == ["after_closing", *["closed"] * 7]
    quiet = (await api.get("/v1/calendars/guides/G1/permitted", **query | {"for": "contact"})).json()
    assert [move["code"] for move in quiet["moves"]] == ["quiet_hours"]


async def test_what_is_not_there_or_too_long_is_refused(api: Api) -> None:
    assert problem(await api.get("/v1/calendars/stores/S9")) == (
        404,
        [("subject", "unknown_calendar_subject")],
    )
    span = {"first": "2026-01-01", "last": "2028-01-01"}
    assert problem(await api.get("/v1/calendars/stores/S1", **span)) == (422, [("last", "too_large")])
