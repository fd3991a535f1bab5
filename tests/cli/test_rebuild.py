"""`daogou rebuild`: says what is not as the events tell, and puts it right."""

from __future__ import annotations

import asyncio

import asyncpg

from tests.cli.shop import Shop


def test_a_projection_changed_behind_the_ledgers_back_is_shown_by_verify_and_put_right_by_rebuild(
    shop: Shop,
) -> None:
    assert shop.run("plan", "launch", shop.playbook()).exit_code == 0

    async def forge() -> None:
        connection = await asyncpg.connect(shop.address.url(shop.database))
        await connection.execute("UPDATE daogou.plan SET status = 'closed'")
        await connection.close()

    asyncio.run(forge())
    told = shop.run("audit", "verify")
    assert (told.exit_code, "plan differs from its events: status" in told.stdout) == (1, True)
    looked = shop.run("rebuild", "--dry-run", "plan")
    assert (looked.exit_code, "1 行与事件不符；未作改动" in looked.stdout) == (1, True)
    mended = shop.run("rebuild")
    assert (mended.exit_code, "1 行与事件不符，处理完毕" in mended.stdout) == (0, True)
    assert "完全一致" in shop.run("rebuild").stdout
    assert shop.json("plan", "status")["plans"][0]["status"] == "running"
    assert shop.json("rebuild")["differing"] == 0


def test_an_unknown_projection_is_refused_with_those_there_are(shop: Shop) -> None:
    refused = shop.run("rebuild", "tasks")
    assert refused.exit_code == 1
    assert "plan_member" in refused.stderr
