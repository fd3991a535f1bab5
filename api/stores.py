"""Stores: which there are, with the region and dealer each belongs to, as far as one reaches."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.answers import Answer
from api.context import AtHand
from api.fields import Code
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from ledger.stores import list_stores

router = APIRouter(tags=["stores"])


class StoreAnswer(Answer):
    """A store; region and dealer, the places a supervisor and a dealer are granted in, are empty where it has none."""

    store: str
    name: str
    region: str
    dealer: str
    time_zone: str
    opens_at: str = Field(description="HH:MM in the store's own time, like `closes_at`.")
    closes_at: str
    last_on: date | None = Field(description="Its last day, where it closes or has closed.")


@router.get("/stores", operation_id="list_stores", responses=responses())
async def stores(
    here: AtHand,
    region: Annotated[Code | None, Query(description="Only this region's.")] = None,
    dealer: Annotated[Code | None, Query(description="Only this dealer's.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[StoreAnswer]:
    """Stores by code, as far as you reach."""
    place = read_cursor(after, str)
    async with here.ledger.connection() as connection:
        found = await list_stores(
            connection,
            here.ledger.tenant_id,
            region=region,
            dealer=dealer,
            after=place[0] if place else None,
            limit=limit + 1,
        )
    return page_of(found, limit, StoreAnswer.model_validate, lambda store: (store.store,))
