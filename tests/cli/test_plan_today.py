"""A plan's "today" is that of its guides, not of the server's clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from infra.clock import now
from tests.cli.shop import Shop

TODAY = now().date()


@pytest.fixture
def evening(monkeypatch: pytest.MonkeyPatch) -> None:
    """17:00 UTC: in Shanghai the next day has begun."""
    monkeypatch.setattr("cli.plan.now", lambda: datetime.combine(TODAY, time(17), tzinfo=UTC))


@pytest.mark.usefixtures("evening")
@pytest.mark.parametrize("command", ["check", "launch"])
def test_a_plan_that_should_have_begun_yesterday_at_its_guides_is_past(shop: Shop, command: str) -> None:
    refused = shop.run("plan", command, shop.playbook(**{"period.start": TODAY.isoformat()}), lang="en")
    assert refused.exit_code != 0
    assert "period.start" in refused.stderr
    tomorrow = (TODAY + timedelta(days=1)).isoformat()
    assert shop.run("plan", command, shop.playbook(**{"period.start": tomorrow})).exit_code == 0
