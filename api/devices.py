"""Phones of stores: bound by a code a manager reads out, so that guides sign in with a PIN and type no password."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from activities.accounts import new_password
from activities.passwords import device_code, hash_secret, heard, one_time_pin
from activities.sessions import digest, new_secret
from activities.signing_in import command_of
from api.answers import Answer
from api.attempts import count_attempt_of
from api.context import AtHand
from api.fields import MOST_ON_A_PAGE, STORABLE, Body, Code
from api.problems import Declined, responses
from api.session_cookies import set_device
from domain.errors import Problem
from ledger import devices
from ledger.sign_in import refuse_unknown

router = APIRouter(tags=["phones"])


class NewCode(Body):
    """Which store's phone, and what to call it."""

    store: Code
    name: Annotated[str, Field(min_length=1, max_length=80, description="No names of people."), STORABLE]


class DeviceCode(Answer):
    """What to type on the phone; works once, and is told once."""

    code: str
    expires_at: datetime
    replaced: bool = Field(
        description="An older code for a phone of this name was valid still; it binds nothing any more."
    )


class CodeShown(Body):
    """The code, in any case, with or without its hyphen."""

    code: Annotated[str, Field(min_length=1, max_length=40), STORABLE]


class BoundPhone(Answer):
    """This phone is bound now; its secret is in the cookie `daogou_device`."""

    device: UUID
    store: str
    store_name: str
    name: str


class DeviceLine(Answer):
    """A bound phone."""

    device: UUID
    store: str
    name: str
    bound_at: datetime


class DeviceList(Answer):
    """Bound phones, newest first; at most 200."""

    items: list[DeviceLine]


class GivenPin(Answer):
    """A PIN for the guide to change at the first sign-in; told once."""

    account: UUID
    pin: str


@router.post(
    "/device-codes",
    operation_id="make_device_code",
    status_code=201,
    responses=responses(400, 409, 413, 415),
)
async def make_code(here: AtHand, response: Response, body: NewCode) -> DeviceCode:
    """Make a code that binds one phone of a store within 15 minutes; one made before for a phone of this name ends."""
    code = device_code()
    async with here.ledger.transaction() as connection:
        expires_at, replaced = await devices.make_code(
            connection,
            here.ledger.tenant_id,
            store=body.store,
            name=body.name,
            made_by=here.who.account_id,
            hash_=digest(heard(code)),
            at=here.clock(),
        )
    response.headers["cache-control"] = "no-store"
    return DeviceCode(code=code, expires_at=expires_at, replaced=replaced)


@router.post("/devices", operation_id="bind_device", status_code=201, responses=responses(400, 413, 415, 429))
async def bind(here: AtHand, request: Request, response: Response, body: CodeShown) -> BoundPhone:
    """Bind this phone to the store of a code."""
    await count_attempt_of(here, request, "device_code")
    secret = new_secret("dgd")
    async with here.ledger.transaction() as connection:
        bound = await devices.bind(
            connection,
            here.ledger.tenant_id,
            code=digest(heard(body.code)),
            device_id=uuid4(),
            secret=digest(secret),
            at=here.clock(),
        )
        if bound is None:
            await refuse_unknown(connection, here.ledger.tenant_id, "device_code", here.clock())
    if bound is None:
        raise Declined(401, Problem("code", "", "wrong_device_code"))
    set_device(request, response, secret)
    return BoundPhone(device=bound.device_id, store=bound.store, store_name=bound.store_name, name=bound.name)


@router.get("/devices", operation_id="list_devices", responses=responses())
async def list_devices(
    here: AtHand, store: Annotated[Code | None, Query(description="Of this store only.")] = None
) -> DeviceList:
    """The bound phones of one's stores."""
    async with here.ledger.connection() as connection:
        found = await devices.list_devices(
            connection, here.ledger.tenant_id, store, here.clock(), MOST_ON_A_PAGE
        )
    return DeviceList(
        items=[
            DeviceLine(device=one.device_id, store=one.store, name=one.name, bound_at=one.bound_at)
            for one in found
        ]
    )


@router.delete("/devices/{device}", operation_id="end_device", status_code=204, responses=responses(404))
async def end_device(here: AtHand, device: UUID) -> None:
    """Bind a phone no more: lost, or given to another store; the sessions on it end."""
    command = command_of(here.who, "end-device", here.clock(), thing=device)
    async with here.ledger.transaction() as connection:
        await devices.end_device(connection, here.ledger.tenant_id, command, device, reason="ended")


@router.post(
    "/guides/{guide}/pin", operation_id="give_pin", status_code=201, responses=responses(400, 404, 409)
)
async def give_pin(here: AtHand, response: Response, guide: Code) -> GivenPin:
    """Give a guide a one-time PIN, and an account where there is none; sessions of the guide end."""
    pin = one_time_pin()
    hashed = await hash_secret(pin)
    command = command_of(here.who, "give-pin", here.clock())
    login = f"guide-{new_password()}"
    async with here.ledger.transaction() as connection:
        account = await devices.give_pin(
            connection, here.ledger.tenant_id, command, guide, login=login, pin=hashed, rights=here.who.rights
        )
    response.headers["cache-control"] = "no-store"
    return GivenPin(account=account, pin=pin)
