"""Health and metrics."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prometheus_client.parser import text_string_to_metric_families

from ledger.sequencer import sequence
from tests.api.conftest import Api
from tests.brand import Brand, at


async def figures(api: Api) -> dict[tuple[str, ...], float]:
    """Name and label values to value."""
    answer = await api.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_process_that_answers_is_live_and_with_its_database_ready(api: Api) -> None:
    assert (await api.get("/health/live")).json() == {"live": True}
    ready = await api.get("/health/ready")
    assert (ready.status_code, ready.json()) == (
        200,
        {"ready": True, "database": "answers", "temporal": "not_set"},
    )


async def test_lists_published_are_told_by_release_hour(api: Api, tasks: list[UUID]) -> None:
    assert (await figures(api))["daogou_lists_published", "09:00", "Asia/Shanghai"] == 1


async def test_a_release_nobody_cut_the_lists_of_is_a_miss_after_ten_minutes(api: Api, shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    key = ("daogou_schedule_misses", "09:00", "Asia/Shanghai")
    for instant, missed in ((at(2, 8), 0), (at(2, 9, 10), 0), (at(2, 9, 11), 1)):
        api.now = instant
        api.forget()
        assert (await figures(api))[key] == missed
    await api.post("/v1/guides/G1/clock-in")
    api.forget()
    assert (await figures(api))[key] == 0


async def test_check_ins_a_second_are_those_of_the_last_minute(api: Api, tasks: list[UUID]) -> None:
    for task in tasks:
        await api.check_in(task)
    assert (await figures(api))["daogou_check_ins_per_second",] == 3 / 60
    api.now += timedelta(seconds=61)
    api.forget()
    assert (await figures(api))["daogou_check_ins_per_second",] == 0


async def test_the_sequencers_lag_is_rows_and_age(api: Api, shop: Brand, tasks: list[UUID]) -> None:
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
    assert (await figures(api))["daogou_sequencer_waiting",] == 0
    await api.check_in(tasks[0])
    api.now += timedelta(seconds=30)
    api.forget()
    told = await figures(api)
    assert (told["daogou_sequencer_waiting",], told["daogou_sequencer_oldest_waiting_seconds",]) == (1, 30)


async def test_messages_are_told_by_state_with_the_age_of_the_oldest_waiting(api: Api, shop: Brand) -> None:
    for number, (state, minute) in enumerate((("waiting", 50), ("waiting", 55), ("dead", 0))):
        await shop.execute(
            "INSERT INTO outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at, state)"
            " VALUES (1, $1, 'nudge', $2, '{}', $3, $4, $5)",
            f"n{number}", UUID(int=1), at(2, 9, minute), at(2, 20), state,
        )  # fmt: skip
    told = await figures(api)
    assert told["daogou_outbox_messages", "waiting"] == 2
    assert told["daogou_outbox_messages", "dead"] == 1
    assert told["daogou_outbox_messages", "sent"] == 0
    assert told["daogou_outbox_oldest_waiting_seconds",] == 600


async def test_an_old_transaction_shows(api: Api, shop: Brand) -> None:
    async with shop.ledger.transaction() as connection:
        await connection.fetchval("SELECT 1")
        await connection.execute("SELECT pg_sleep(0.2)")
        assert (await figures(api))["daogou_oldest_transaction_seconds",] >= 0.2


async def test_figures_are_kept_for_some_seconds(api: Api, tasks: list[UUID]) -> None:
    before = await figures(api)
    await api.check_in(tasks[0])
    assert await figures(api) == before


async def test_an_empty_brand_has_figures_too(api: Api, shop: Brand) -> None:
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)  # whoever asks has an account, and that is in the ledger
    told = await figures(api)
    assert told["daogou_sequencer_waiting",] == 0
    assert told["daogou_check_ins_per_second",] == 0
