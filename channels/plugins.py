"""apprise's plugins, as we use them: one attempt, no redirect, no log, and robots' addresses by setting."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from apprise import Apprise, AppriseAsset, NotifyBase
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

CONNECT_WITHIN = 3.0
"""Seconds."""
ANSWER_WITHIN = 5.0
"""Seconds between two pieces of an answer."""

# What it logs holds addresses, and at DEBUG the texts; so does what urllib3 logs of its connections.
logging.getLogger("apprise").disabled = True
logging.getLogger("urllib3").setLevel(logging.ERROR)

_ASSET = AppriseAsset(
    app_id="daogou",
    app_desc="daogou",
    app_url="",
    http_redirects=False,  # a message that is sent on to somebody else is not ours to follow
    default_service_retry=0,  # trying again is the outbox's decision
)


@dataclass(frozen=True, slots=True)
class Bases:
    """Where robots' services are: theirs, or a gateway of one's own (`https://gateway.example.com/wecom`)."""

    wecom: str = "https://qyapi.weixin.qq.com"
    dingtalk: str = "https://oapi.dingtalk.com"
    feishu: str = "https://open.feishu.cn"


def read_bases(environment: Mapping[str, str] | None = None) -> Bases:
    """The bases that DAOGOU_WECOM_BASE, DAOGOU_DINGTALK_BASE and DAOGOU_FEISHU_BASE name."""
    env = os.environ if environment is None else environment
    usual = Bases()
    return Bases(
        wecom=(env.get("DAOGOU_WECOM_BASE") or usual.wecom).rstrip("/"),
        dingtalk=(env.get("DAOGOU_DINGTALK_BASE") or usual.dingtalk).rstrip("/"),
        feishu=(env.get("DAOGOU_FEISHU_BASE") or usual.feishu).rstrip("/"),
    )


@dataclass(frozen=True, slots=True)
class Transport:
    """How messages travel: seconds to connect, seconds for each piece of an answer, and where robots live."""

    connect: float = CONNECT_WITHIN
    answer: float = ANSWER_WITHIN
    bases: Bases = field(default_factory=Bases)


def make_plugin(address: str, transport: Transport | None = None, *, purpose: str = "") -> NotifyBase | None:
    """The plugin of an address; None where apprise cannot read it. `purpose` goes with a webhook's message."""
    transport = transport or Transport()
    try:
        plugin = Apprise.instantiate(address, asset=_ASSET)
    except (TypeError, ValueError):  # apprise's parsers meet some broken addresses unprepared
        return None
    if not isinstance(plugin, NotifyBase):
        return None
    # What the address itself asks for must not make one attempt two.
    plugin.retry = 0
    plugin.redirects = False
    plugin.socket_connect_timeout, plugin.socket_read_timeout = transport.connect, transport.answer
    match plugin:
        case NotifyWeComBot():
            plugin.api_url = f"{transport.bases.wecom}/cgi-bin/webhook/send?key={plugin.key}"
        case NotifyDingTalk():
            plugin.notify_url = f"{transport.bases.dingtalk}/robot/send?access_token={{token}}"
        case NotifyFeishu():
            plugin.notify_url = f"{transport.bases.feishu}/open-apis/bot/v2/hook/{{token}}/"
        case NotifyEmail():
            # Its only timeout, for each step of the dialogue; whole seconds by its type, any number in fact.
            plugin.socket_connect_timeout = transport.answer  # type: ignore[assignment]
        case NotifyJSON() if purpose:
            plugin.payload_extras["purpose"] = purpose  # so that a receiver can tell that it has had it
        case _:
            pass
    return plugin
