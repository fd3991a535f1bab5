"""Addresses of endpoints, as apprise writes them: checked before they are kept, masked before they are shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from apprise.plugins.email.base import NotifyEmail

from channels.plugins import make_plugin
from domain.errors import Problem, Refused

_PORT = re.compile(r":([0-9]{1,99})$")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of channel: its default rate, and how its address is written."""

    name: str
    per_minute: int
    example: str


WECOM = Kind("wecom", 20, "wecombot://KEY")
DINGTALK = Kind("dingtalk", 20, "dingtalk://TOKEN")
FEISHU = Kind("feishu", 100, "feishu://TOKEN")
MAIL = Kind("mail", 30, "mailtos://USER:PASSWORD@HOST?to=SOMEBODY@EXAMPLE.COM")
WEBHOOK = Kind("webhook", 60, "jsons://HOST/PATH")

SCHEMES = {
    "wecombot": WECOM,
    "dingtalk": DINGTALK,
    "feishu": FEISHU,
    "mailto": MAIL,
    "mailtos": MAIL,
    "json": WEBHOOK,
    "jsons": WEBHOOK,
}


def check_address(address: str) -> Kind:
    """The kind of channel an address leads to.

    Raises:
        Refused: the scheme is none of ours, the rest is not an address of its kind, its port is none, or a mail
            names several recipients. The problem shows the address masked.
    """
    kind = SCHEMES.get(_scheme(address))
    shown = _scheme_only(address)  # in what cannot be read, a secret may stand where the host should
    if kind is None:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise Refused([Problem("address", shown, "channel_scheme", {"known": known})])
    if _has_no_port(address):
        raise Refused([Problem("address", shown, "channel_port", {"example": kind.example})])
    plugin = make_plugin(address)
    if plugin is None:
        raise Refused([Problem("address", shown, "channel_address", {"example": kind.example})])
    # A second recipient is a second message, which would end on its own: at most once holds for one.
    if isinstance(plugin, NotifyEmail) and (len(plugin.targets) != 1 or plugin.cc or plugin.bcc):
        raise Refused([Problem("address", shown, "channel_one_recipient", {"example": kind.example})])
    return kind


def masked(address: str) -> str:
    """The address without its secrets, for screens: `wecombot://…`, `mailtos://…@smtp.example.com`.

    Nothing is derived from the secret: even a short digest would let a guessed password be tried.
    """
    scheme = _scheme(address)
    kind = SCHEMES.get(scheme)
    if kind is None:
        return _scheme_only(address)
    host = _host(address) if kind in {MAIL, WEBHOOK} else ""
    return f"{scheme}://…{'@' if host else ''}{host}"


def _scheme(address: str) -> str:
    return address.partition("://")[0].strip().lower()


def _scheme_only(address: str) -> str:
    scheme = _scheme(address)
    return f"{scheme}://…" if scheme.isalnum() and len(scheme) <= 12 and "://" in address else "…"


def _has_no_port(address: str) -> bool:
    """Whether a number stands where the port does that is none; apprise takes it, and nothing would ever arrive."""
    try:
        written = _PORT.search(urlsplit(address).netloc)
    except ValueError:
        return False
    return written is not None and not 1 <= int(written[1]) <= 65_535


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
