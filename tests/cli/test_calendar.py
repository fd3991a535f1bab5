"""`daogou calendar` and the files it is told by."""

from __future__ import annotations

from tests.cli.shop import Shop


def test_what_a_file_says_is_shown_and_explained(shop: Shop) -> None:
    calendar = shop.write("calendar.csv", "scope,code,date,state,name\nstore,S1,2026-12-08,closed,盘点\n")
    shifts = shop.write("shifts.csv", "guide,weekday,begins,ends\nG1,2,10:00,18:00\nG1,3,10:00,18:00\n")
    for kind, file in (("calendar", calendar), ("shifts", shifts)):
        assert shop.json("import", kind, file)["rows_bad"] == 0
    told = shop.json("calendar", "show", "G1", "--from", "2026-12-08", "--to", "2026-12-10")
    assert [(day["worked"], day["shifts"]) for day in told["days"]] == [
        (False, ["10:00-18:00"]),
        (True, ["10:00-18:00"]),
        (True, []),
    ]
    screen = shop.run("calendar", "show", "S1", "--from", "2026-12-08", "--to", "2026-12-08")
    assert screen.exit_code == 0, screen.output
    assert "2026-12-08：不营业 盘点 · 门店 S1" in screen.output
    asked = ("calendar", "explain", "G1", "--at", "2026-12-08T09:00+08:00")
    found = shop.json(*asked)
    assert (found["permitted"], found["next"]) == (False, "2026-12-09T02:00:00+00:00")
    assert "2026-12-09 10:00" in shop.run(*asked).output
