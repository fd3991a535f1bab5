"""`daogou feed`, `daogou audit claims|signs`, and files of other systems: what is shown, and how far the data goes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from infra.clock import now
from tests.cli.shop import Shop

CALLS = "key,guide,member,occurred_at,seconds\n{key},G1,M1,2026-02-10T10:00:00+08:00,75\n"


def test_a_secret_is_shown_once_and_the_list_says_how_far_a_source_is(shop: Shop) -> None:
    made = shop.json("feed", "create", "pbx-cli")
    assert made["secret"].startswith("whsec_")
    again = shop.run("feed", "create", "pbx-cli")
    assert (again.exit_code, "已经可以推送" in again.output) == (1, True)
    rotated = shop.run("feed", "rotate", "pbx-cli", "--overlap-hours", "1", lang="en")
    assert "works on for 1 hours" in rotated.stdout
    assert made["secret"] not in rotated.stdout
    file = shop.write("calls.csv", CALLS.format(key="c1"))
    until = "2026-02-11T00:00:00+08:00"
    done = shop.json("import", "calls", file, "--source", "pbx-cli", "--complete-until", until)
    assert done["rows_new"] == 1
    (line,) = [one for one in shop.json("feed", "list")["feeds"] if one["source"] == "pbx-cli"]
    assert (line["secrets"], line["complete_until"]["calls"][:16]) == (2, "2026-02-10T16:00")
    assert "通话 2026-02-10 16:00" in shop.run("feed", "list").stdout
    ended = shop.run("feed", "end", "pbx-cli", "--reason", "换了系统")
    assert (ended.exit_code, "已停用" in ended.stdout) == (0, True)


def test_every_screen_of_figures_says_how_far_the_data_is_complete(shop: Shop) -> None:
    for arguments in (("day",), ("audit", "claims"), ("audit", "signs")):
        done = shop.run(*arguments, lang="en")
        assert done.exit_code == 0, done.output
        assert "Data complete until" in done.stdout
        assert set(shop.json(*arguments)["complete_until"]) >= {"calls", "friends", "purchases"}
    assert shop.json("audit", "claims", "--by", "store")["total"]["claimed"] == 0
    assert shop.json("audit", "signs")["not_looked_for"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("feed", "create", "PBX 1"), "不能作为来源名称"),
        (("feed", "rotate", "nowhere"), "没有可以推送的来源"),
        (("feed", "end", "nowhere", "--reason", "x"), "没有可以推送的来源"),
        (("feed", "end", "nowhere", "--reason", " "), "内容为空"),
        (("audit", "claims", "--since", "yesterday"), "带时区"),
        (("audit", "signs", "--guide", "G99"), "G99"),
        (
            (
                "audit",
                "claims",
                "--since",
                "2026-03-02T10:00:00+08:00",
                "--until",
                "2026-03-02T09:00:00+08:00",
            ),
            "早于开始",
        ),
        (("import", "calls", "{file}", "--source", "P B X"), "不能作为来源名称"),
        (("import", "calls", "{file}", "--complete-until", "{ahead}"), "数据不可能完整到"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    shop: Shop, arguments: tuple[str, ...], told: str
) -> None:
    gaps = {
        "file": shop.write("calls.csv", CALLS.format(key="c9")),
        "ahead": (now() + timedelta(hours=1)).isoformat(),
    }
    before = shop.traces()
    done = shop.run(*(argument.format(**gaps) for argument in arguments))
    assert (done.exit_code, told in done.output.replace("\n", "")) == (1, True), done.output
    assert shop.traces() == before
