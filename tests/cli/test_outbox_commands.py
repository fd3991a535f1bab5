"""`daogou outbox` as a person uses it."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import asyncpg
import pytest
from click.testing import CliRunner

from cli.main import root
from infra.clock import now
from tests.cli.shop import CLEAN, Shop

KEY = "693a91f6-c0ffee"
ROBOT = f"wecombot://{KEY}"
PURPOSE = "nudge/g/2026-03-02/12:00"


def execute(shop: Shop, statement: str, *arguments: object) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(shop.address.url(shop.database))
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    asyncio.run(run())


def a_message(
    shop: Shop, state: str, why: str | None = None, *, purpose: str = PURPOSE, endpoint: int = 1
) -> None:
    made = now()
    execute(
        shop,
        "INSERT INTO daogou.outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at, state, why,"
        " endpoint_id) SELECT 1, $1, 'nudge', guide_id, $2::jsonb, $3, $4, $5, $6, $7 FROM daogou.guide"
        " WHERE code = 'G1'",
        purpose, json.dumps({"date": "2026-03-02", "slot": "12:00"}), made, made + timedelta(hours=2), state, why,
        endpoint,
    )  # fmt: skip


def add(shop: Shop, *more: str) -> None:
    done = shop.run("outbox", "channel", "add", ROBOT, "--scope", "store", "--code", "S1", *more)
    assert done.exit_code == 0, done.output


def codes(shop: Shop, *arguments: str) -> list[tuple[str, str]]:
    """Field and code of every problem of a command that is refused."""
    answer = shop.json(*arguments)
    return [(problem["field"], problem["code"]) for problem in answer["error"]["problems"]]


def test_channels_are_added_listed_and_removed_without_showing_their_secret(shop: Shop) -> None:
    add(shop)
    listed = shop.run("outbox", "channel", "list")
    assert "wecombot://…" in listed.stdout
    (found,) = shop.json("outbox", "channel", "list")["channels"]
    assert (found["endpoint_id"], found["scope"], found["code"], found["per_minute"]) == (
        1,
        "store",
        "S1",
        20,
    )
    removed = shop.run("outbox", "channel", "remove", "1")
    assert removed.exit_code == 0
    assert shop.json("outbox", "channel", "list")["channels"] == []
    (gone,) = shop.json("outbox", "channel", "list", "--all")["channels"]
    assert not gone["active"]
    log = (shop.home / "logs" / "cli.log").read_text(encoding="utf-8")
    for text in (listed.output, json.dumps(found), removed.output, log):
        assert "c0ffee" not in text


def test_an_address_may_come_from_standard_input(shop: Shop) -> None:
    place = ["--home", str(shop.home), "--database", shop.database]
    arguments = ["outbox", "channel", "add", "-", "--scope", "brand", "--per-minute", "7", "--json"]
    done = CliRunner(env={**CLEAN}).invoke(root, [*place, *arguments], input=f"{ROBOT}\n")
    assert json.loads(done.stdout)["per_minute"] == 7


@pytest.mark.parametrize(
    ("address", "options", "problem"),
    [
        ("https://qyapi.weixin.qq.com/?key=c0ffee", ["--scope", "brand"], ("address", "channel_scheme")),
        ("wecombot://c0ffee!", ["--scope", "brand"], ("address", "channel_address")),
        (ROBOT, ["--scope", "store", "--code", "S9"], ("code", "channel_store")),
        (ROBOT, ["--scope", "store"], ("code", "channel_code_missing")),
        (ROBOT, ["--scope", "guide", "--code", "G9"], ("code", "channel_guide")),
        (ROBOT, ["--scope", "region", "--code", "East"], ("code", "channel_region")),
        (ROBOT, ["--scope", "brand", "--code", "S1"], ("code", "channel_brand_code")),
        (ROBOT, ["--scope", "brand", "--per-minute", "0"], ("per_minute", "too_small")),
    ],
)
def test_a_channel_that_cannot_be_is_refused_with_field_value_and_remedy(
    shop: Shop, address: str, options: list[str], problem: tuple[str, str]
) -> None:
    assert codes(shop, "outbox", "channel", "add", address, *options) == [problem]
    shown = shop.run("outbox", "channel", "add", address, *options)
    assert shown.exit_code == 1
    assert "办法" in shown.stderr
    assert "c0ffee" not in shown.output
    assert shop.json("outbox", "channel", "list")["channels"] == []


def test_the_switch_is_thrown_once_and_shown_on_top(shop: Shop) -> None:
    stopped = shop.json("outbox", "stop", "--reason", "话术有误")
    assert (stopped["changed"], stopped["switch"]["stopped"]) == (True, True)
    assert not shop.json("outbox", "stop", "--reason", "again")["changed"]
    screen = shop.run("outbox").stdout
    assert screen.startswith("全部消息已停发")
    assert "话术有误" in screen
    assert shop.json("outbox", "start", "--reason", "改好了")["changed"]
    assert not shop.json("outbox", "start", "--reason", "again")["changed"]
    assert "停发" not in shop.run("outbox").stdout
    assert codes(shop, "outbox", "stop", "--reason", " ") == [("reason", "reason_missing")]


def test_the_switch_works_while_temporal_is_away(shop: Shop) -> None:
    stopped = shop.run("outbox", "stop", "--reason", "now", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert stopped.exit_code == 0
    assert shop.json("outbox")["switch"]["stopped"]


def test_what_wants_a_person_is_on_top_with_why_and_remedy(shop: Shop) -> None:
    add(shop)
    a_message(shop, "unknown", "no_answer")
    a_message(shop, "dead", "code_93000", purpose=f"{PURPOSE}/2")
    a_message(shop, "sent", purpose=f"{PURPOSE}/3")
    screen = shop.run("outbox").stdout
    troubled = screen.index("需要人处理")
    assert troubled < screen.index("最近的消息")
    for part in ("已发出，对方没有答复", "对方拒绝（代码 93000）", "先问对方收到没有", "G1", "企业微信"):
        assert part in screen
    english = shop.run("outbox", lang="en").stdout
    for part in ("it left, no answer came", "refused (code 93000)"):
        assert part in english


def test_nothing_that_would_be_refused_is_given_as_a_remedy(shop: Shop) -> None:
    add(shop)
    a_message(shop, "dead", "http_403")
    assert "outbox retry" in shop.run("outbox").stdout
    execute(shop, "UPDATE daogou.outbox SET expires_at = created_at")
    late = shop.run("outbox").stdout
    shop.run("outbox", "channel", "remove", "1")
    gone = shop.run("outbox").stdout
    assert "时限已过" in late
    assert "渠道 1 已停用" in gone
    assert "outbox retry" not in late + gone


@pytest.mark.parametrize("written", ["dead", "发送失败", "Failed"])
def test_a_state_is_named_by_its_code_or_as_it_is_shown(shop: Shop, written: str) -> None:
    a_message(shop, "dead", "http_403")
    a_message(shop, "sent", purpose=f"{PURPOSE}/2")
    assert [one["state"] for one in shop.json("outbox", "--state", written)["messages"]] == ["dead"]


def test_pages_and_states(shop: Shop) -> None:
    for number in range(5):
        a_message(shop, "sent" if number else "unrouted", purpose=f"{PURPOSE}/{number}")
    first = shop.json("outbox", "--limit", "3")
    second = shop.json("outbox", "--limit", "3", "--after", first["next"])
    seen = [message["purpose"] for message in first["messages"] + second["messages"]]
    assert seen == [f"{PURPOSE}/{number}" for number in (4, 3, 2, 1, 0)]
    assert second["next"] is None
    assert first["counts"]["sent"]["messages"] == 4
    (unrouted,) = shop.json("outbox", "--state", "unrouted")["messages"]
    assert unrouted["channel"] is None
    assert codes(shop, "outbox", "--state", "lost") == [("state", "unknown_message_state")]
    for bad in (
        "x",
        "2026-03-02T00:00:00,1,p",
        "2026-03-02T00:00:00+00:00,-1,p",
        "2026-03-02T00:00:00+00:00,p",
    ):
        assert codes(shop, "outbox", "--after", bad) == [("--after", "not_a_cursor")]


def test_a_person_may_have_a_message_sent_once_more(shop: Shop) -> None:
    add(shop)
    a_message(shop, "unknown", "no_answer")
    assert shop.json("outbox", "retry", PURPOSE)["message"]["state"] == "waiting"
    assert codes(shop, "outbox", "retry", PURPOSE) == [("purpose", "message_not_retriable")]
    assert codes(shop, "outbox", "retry", "nudge/x") == [("purpose", "unknown_message")]


def test_one_of_several_channels_is_to_be_named(shop: Shop) -> None:
    add(shop)
    done = shop.run("outbox", "channel", "add", "feishu://k", "--scope", "store", "--code", "S1")
    assert done.exit_code == 0, done.output
    for endpoint in (1, 2):
        a_message(shop, "dead", "http_403", endpoint=endpoint)
    assert codes(shop, "outbox", "retry", PURPOSE) == [("--endpoint", "message_of_several")]
    again = shop.json("outbox", "retry", PURPOSE, "--endpoint", "2")["message"]
    assert (again["endpoint_id"], again["state"]) == (2, "waiting")
    shop.run("outbox", "channel", "remove", "1")
    assert codes(shop, "outbox", "retry", PURPOSE, "--endpoint", "1") == [("endpoint", "endpoint_removed")]


def test_an_empty_outbox_says_so_and_how_to_add_a_channel(shop: Shop) -> None:
    assert "没有消息" in shop.run("outbox").stdout
    assert "outbox channel add" in shop.run("outbox", "channel", "list").stdout
