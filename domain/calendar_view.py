"""A calendar as people look at it: day by day, with what decided."""

from __future__ import annotations

from datetime import date, timedelta

from domain.calendar import Ground, LayerName
from domain.layers import Frozen, Hours, Layers


class DayView(Frozen):
    """One day: whether it is worked, in which hours, and the layer that says so.

    `shifts` are a guide's own hours: None where nothing is said of them, so that the store's count.
    """

    day: date
    worked: bool
    hours: tuple[str, ...]
    shifts: tuple[str, ...] | None = None
    on_leave: bool = False
    code: str
    layer: LayerName
    subject: str = ""
    name: str = ""


def view_days(layers: Layers, first: date, last: date) -> tuple[DayView, ...]:
    """Every day from `first` to `last`, both included."""
    return tuple(_view(layers, first + timedelta(days=ahead)) for ahead in range((last - first).days + 1))


def _view(layers: Layers, day: date) -> DayView:
    ground, guide, store = layers.days.ground(day), layers.guide, layers.store
    hours = store.on(day) if store is not None and ground.worked else ()
    if ground.worked and store is not None and store.last_on is not None and day > store.last_on:
        gone = {
            "code": "store_gone",
            "layer": LayerName.STORE,
            "subject": store.store,
            "name": f"{store.last_on}",
        }
        ground = Ground.model_validate({"worked": False, **gone})
    shifts = None if guide is None else guide.on(day)
    return DayView(
        day=day,
        worked=ground.worked,
        hours=_told(hours),
        shifts=None if shifts is None else _told(shifts),
        on_leave=guide is not None and guide.away(day) is not None,
        code=ground.code,
        layer=ground.layer,
        subject=ground.subject,
        name=ground.name,
    )


def _told(hours: tuple[Hours, ...]) -> tuple[str, ...]:
    return tuple(str(one) for one in hours)
