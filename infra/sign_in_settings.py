"""Whose word is taken for who somebody is, besides daogou's own passwords: an OpenID provider, WeCom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from domain.errors import Problem, Refused
from infra.edge_settings import is_loopback
from infra.secret_files import read_secret

WECOM_API = "https://qyapi.weixin.qq.com"
WECOM_OPEN = "https://open.weixin.qq.com"
LEAST_SECRET = 16
"""Characters of a client's secret: it also signs the cookie that holds a sign-in together."""


class Oidc(BaseModel):
    """A client at an OpenID provider; DAOGOU_OIDC_ISSUER, _CLIENT_ID and _CLIENT_SECRET or _CLIENT_SECRET_FILE."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    client_id: str
    client_secret: SecretStr
    hosts: tuple[str, ...] = ()
    """Hosts besides the issuer's on which its endpoints may lie (DAOGOU_OIDC_HOSTS); no other is asked."""


class Wecom(BaseModel):
    """An application of a WeCom corporation: DAOGOU_WECOM_CORP_ID, _AGENT_ID and _SECRET or _SECRET_FILE."""

    model_config = ConfigDict(frozen=True)

    corp_id: str
    agent_id: str
    secret: SecretStr
    api: str = WECOM_API
    """Base address of its server API (DAOGOU_WECOM_API)."""
    open: str = WECOM_OPEN
    """Base address of the page that asks for the code (DAOGOU_WECOM_OPEN)."""


def read_oidc(env: Mapping[str, str]) -> Oidc | None:
    """The provider, if any of its variables is set; `refuse_unusable` judges it."""
    told = Oidc(
        issuer=env.get("DAOGOU_OIDC_ISSUER") or "",
        client_id=env.get("DAOGOU_OIDC_CLIENT_ID") or "",
        client_secret=SecretStr(read_secret(env, "DAOGOU_OIDC_CLIENT_SECRET") or ""),
        hosts=tuple(one.strip() for one in (env.get("DAOGOU_OIDC_HOSTS") or "").split(",") if one.strip()),
    )
    return told if told.issuer or told.client_id or told.client_secret else None


def read_wecom(env: Mapping[str, str]) -> Wecom | None:
    """The application, if any of its own variables is set; `refuse_unusable` judges it."""
    told = Wecom(
        corp_id=env.get("DAOGOU_WECOM_CORP_ID") or "",
        agent_id=env.get("DAOGOU_WECOM_AGENT_ID") or "",
        secret=SecretStr(read_secret(env, "DAOGOU_WECOM_SECRET") or ""),
        api=(env.get("DAOGOU_WECOM_API") or WECOM_API).rstrip("/"),
        open=(env.get("DAOGOU_WECOM_OPEN") or WECOM_OPEN).rstrip("/"),
    )
    return told if told.corp_id or told.agent_id or told.secret else None


def refuse_unusable(oidc: Oidc | None, wecom: Wecom | None, public_url: str | None) -> None:
    """Refuse a provider that is half set, or that people would be sent to, or come back from, in the clear.

    Raises:
        Refused: with everything that is wrong at once; no secret is in it.
    """
    problems = [*_wrong_oidc(oidc), *_wrong_wecom(wecom)]
    if (oidc or wecom) and public_url is None:
        problems.append(Problem("DAOGOU_PUBLIC_URL", "", "public_url_for_sign_in"))
    if problems:
        raise Refused(problems)


def _wrong_oidc(oidc: Oidc | None) -> Iterator[Problem]:
    if oidc is not None:
        yield from _missing({"DAOGOU_OIDC_CLIENT_ID": oidc.client_id})
        yield from _weak("DAOGOU_OIDC_CLIENT_SECRET", oidc.client_secret)
        yield from _not_https("DAOGOU_OIDC_ISSUER", oidc.issuer)


def _wrong_wecom(wecom: Wecom | None) -> Iterator[Problem]:
    if wecom is not None:
        yield from _missing({"DAOGOU_WECOM_CORP_ID": wecom.corp_id, "DAOGOU_WECOM_AGENT_ID": wecom.agent_id})
        yield from _weak("DAOGOU_WECOM_SECRET", wecom.secret)
        yield from _not_https("DAOGOU_WECOM_API", wecom.api)
        yield from _not_https("DAOGOU_WECOM_OPEN", wecom.open)


def _missing(told: Mapping[str, str]) -> Iterator[Problem]:
    return (Problem(name, "", "setting_missing") for name, value in told.items() if not value)


def _weak(name: str, secret: SecretStr) -> Iterator[Problem]:
    if len(secret) < LEAST_SECRET:
        yield Problem(name, "", "secret_too_short", {"least": LEAST_SECRET})


def _not_https(name: str, url: str) -> Iterator[Problem]:
    if not is_https(url):
        yield Problem(name, url[:200], "setting_not_https")


def is_https(url: str) -> bool:
    """Whether an address may be asked for who somebody is: https, or anything on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
