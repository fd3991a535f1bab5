"""Seals leave the house by the outbox, to the endpoints that were set for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from activities.seals import keep_nowhere, seal_and_keep
from channels.plugins import Transport
from infra.outbox_sender import send_due
from ledger.anchors import Anchor, read_anchors
from ledger.endpoints import add_endpoint
from ledger.ledger import Ledger
from ledger.seals import Seal
from tests.brand import Brand, at
from tests.channels.fakes import Service, http_service
from tests.ledger.test_seals import note

NOON = at(2, 12)


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as running:
        yield running


async def channel(ledger: Ledger, kind: str, address: str) -> int:
    endpoint = await add_endpoint(ledger, scope="audit", code="", kind=kind, address=address, per_minute=60)
    return endpoint.endpoint_id


async def sealed(ledger: Ledger, when: datetime) -> Seal:
    await note(ledger, "a")
    seal = await seal_and_keep(ledger, when, keep_nowhere)
    assert seal is not None
    return seal


async def test_a_webhook_gets_a_line_that_the_ledger_can_be_held_against(
    ledger: Ledger, service: Service
) -> None:
    await channel(ledger, "webhook", f"json://127.0.0.1:{service.port}/hook")
    seal = await sealed(ledger, NOON)
    done = await send_due(
        ledger, now=lambda: NOON, language="zh", transport=Transport(connect=2.0, answer=2.0)
    )
    assert dict(done) == {"sent": 1}
    ((_, body),) = service.requests
    assert body["purpose"] == "seal/1"
    line = str(body["message"]).splitlines()[-1]
    assert read_anchors(line, 1, "the webhook") == [Anchor.of(seal, "the webhook")]


async def test_every_endpoint_gets_the_newest_seal_and_a_mailbox_one_an_hour(brand: Brand) -> None:
    ledger = brand.ledger
    hook = await channel(ledger, "webhook", "json://127.0.0.1:1/hook")
    mail = await channel(ledger, "mail", "mailtos://u:p@example.com?to=a@example.com")
    for minutes in (0, 5, 61):
        await sealed(ledger, NOON + timedelta(minutes=minutes))
    await seal_and_keep(
        ledger, NOON + timedelta(minutes=62), keep_nowhere
    )  # nothing new: nothing more to say
    rows = await brand.rows("SELECT endpoint_id, purpose, state, why, guide_id FROM outbox ORDER BY 1, 2")
    assert rows == [
        (hook, "seal/1", "expired", "overtaken", None),
        (hook, "seal/2", "expired", "overtaken", None),
        (hook, "seal/3", "waiting", None, None),
        (mail, "seal/1", "expired", "overtaken", None),
        (mail, "seal/3", "waiting", None, None),
    ]


async def test_no_guide_is_nudged_by_an_endpoint_of_the_seals(shop: Brand) -> None:
    await channel(shop.ledger, "webhook", "json://127.0.0.1:1/hook")
    await shop.due_on(2, "M1")
    await shop.start()
    (guide,) = (await shop.rows("SELECT guide_id FROM guide"))[0]
    await shop.morning(2, guide)
    await shop.reminders.nudge_guides(shop.day(2, 12, slot="12:00"))
    assert await shop.rows("SELECT endpoint_id, state FROM outbox") == [(0, "unrouted")]
