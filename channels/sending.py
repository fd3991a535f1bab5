"""One attempt to send one text to one address."""

from __future__ import annotations

from contextlib import suppress

from apprise import NotifyFormat

from channels.facts import watching
from channels.judging import judge
from channels.plugins import Transport, make_plugin
from channels.texts import Text
from domain.delivery import Delivery, End

TITLED = ("mail", "webhook")
"""Channels with a place for a title."""


def send(kind: str, address: str, text: Text, *, purpose: str, transport: Transport) -> Delivery:
    """Try once and say what became of it. Blocks: call it in a thread.

    Never raises for what the network or the other side does. A message that apprise can not send in one piece
    would be cut, not sent as two.
    """
    plugin = make_plugin(address, transport, purpose=purpose)
    if plugin is None:
        return Delivery(End.REFUSED, "address")
    with watching() as facts, suppress(Exception):  # what apprise makes of it does not count, the facts do
        plugin.notify(
            body=text.body,
            title=text.title if kind in TITLED else "",
            body_format=NotifyFormat.TEXT,
            overflow="truncate",
        )
    return judge(kind, facts)
