"""Where the API listens, by which name it is asked for, and who encrypts: read as it stands, judged before it binds.

Beyond the loopback nothing is served in the clear: a certificate of its own, or a proxy in front that has one.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from domain.errors import Problem, Refused
from infra.processes import HOST

HOST_SETTING = "DAOGOU_API_HOST"


class Edge(BaseModel):
    """How requests come in. Nothing set: from this machine only."""

    model_config = ConfigDict(frozen=True)

    host: str = HOST
    """The address the API binds (DAOGOU_API_HOST, or `--host`)."""
    public_url: str | None = None
    """https://shop.example: the name requests may carry besides those of the loopback (DAOGOU_PUBLIC_URL)."""
    tls_cert: str | None = None
    """File with the certificate and what stands between it and its authority, PEM (DAOGOU_TLS_CERT)."""
    tls_key: str | None = None
    """File with its key, PEM, without a password (DAOGOU_TLS_KEY)."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed (DAOGOU_TRUSTED_PROXIES)."""
    allow_plain_http: bool = False
    """Passwords may travel in the clear (DAOGOU_ALLOW_PLAIN_HTTP=1): for a closed network, never for the internet."""

    @property
    def has_tls(self) -> bool:
        """Whether this process encrypts."""
        return self.tls_cert is not None and self.tls_key is not None

    @property
    def public_origin(self) -> str | None:
        """Scheme, name and port as a browser's Origin writes them."""
        if self.public_url is None:
            return None
        parts = urlsplit(self.public_url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        shown = {"https": 443, "http": 80}.get(parts.scheme)
        return f"{parts.scheme}://{name}" + (f":{parts.port}" if parts.port not in {None, shown} else "")

    @property
    def public_name(self) -> str | None:
        """The host of the public URL, in lower case and without brackets."""
        return None if self.public_url is None else urlsplit(self.public_url).hostname


def read_edge(env: Mapping[str, str]) -> Edge:
    """Read the settings of the edge; `refuse_unsafe` judges them."""
    proxies = (env.get("DAOGOU_TRUSTED_PROXIES") or "").split(",")
    return Edge(
        host=env.get("DAOGOU_API_HOST") or HOST,
        public_url=(env.get("DAOGOU_PUBLIC_URL") or "").rstrip("/") or None,
        tls_cert=env.get("DAOGOU_TLS_CERT") or None,
        tls_key=env.get("DAOGOU_TLS_KEY") or None,
        trusted_proxies=tuple(one.strip() for one in proxies if one.strip()),
        allow_plain_http=env.get("DAOGOU_ALLOW_PLAIN_HTTP") == "1",
    )


@lru_cache(maxsize=1024)
def is_loopback(name: str) -> bool:
    """Whether a host is a loopback address or `localhost`; brackets of IPv6 may be there."""
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def bindable(host: str) -> str:
    """The address to bind for a host as it was given: `localhost` is 127.0.0.1, brackets go."""
    return HOST if host.lower() == "localhost" else host.removeprefix("[").removesuffix("]")


def refuse_unsafe(edge: Edge, host: str, *, field: str = HOST_SETTING) -> None:
    """Refuse to listen where what is set would let passwords travel in the clear, or cannot be.

    Args:
        edge: the settings.
        host: the address to bind, which an option may have given instead.
        field: how the host was given.

    Raises:
        Refused: with everything that is wrong at once.
    """
    if problems := [*_wrong_values(edge), *_unsafe(edge, host, field)]:
        raise Refused(problems)


def _unsafe(edge: Edge, host: str, field: str) -> Iterator[Problem]:
    if not is_loopback(host):
        if not _is_address(bindable(host)):
            yield Problem(field, host, "host_not_an_address")
            return
        if not (edge.has_tls or edge.trusted_proxies or edge.allow_plain_http):
            yield Problem(field, host, "bind_without_tls")
        if edge.public_url is None:
            yield Problem("DAOGOU_PUBLIC_URL", "", "public_url_missing")


def _wrong_values(edge: Edge) -> Iterator[Problem]:
    if edge.public_url is not None and (code := _wrong_public_url(edge)) is not None:
        yield Problem("DAOGOU_PUBLIC_URL", edge.public_url[:200], code)
    for one in edge.trusted_proxies:
        if not _is_network(one):
            yield Problem("DAOGOU_TRUSTED_PROXIES", one[:200], "proxy_not_an_address")
    if edge.tls_cert is not None and edge.tls_key is not None:
        if (why := _wrong_certificate(edge.tls_cert, edge.tls_key)) is not None:
            yield Problem("DAOGOU_TLS_CERT", edge.tls_cert, "tls_unusable", {"why": why})
    elif edge.tls_cert is not None:
        yield Problem("DAOGOU_TLS_KEY", "", "tls_half", {"other": "DAOGOU_TLS_CERT"})
    elif edge.tls_key is not None:
        yield Problem("DAOGOU_TLS_CERT", "", "tls_half", {"other": "DAOGOU_TLS_KEY"})


def _wrong_public_url(edge: Edge) -> str | None:
    try:
        parts = urlsplit(edge.public_url or "")
        port_is_one = parts.port != 0
    except ValueError:
        return "public_url_invalid"
    beside = parts.path or parts.query or parts.fragment or parts.username is not None
    if parts.scheme not in {"http", "https"} or not parts.hostname or beside or not port_is_one:
        return "public_url_invalid"
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not edge.allow_plain_http:
        return "public_url_plain"
    return None


def _wrong_certificate(cert: str, key: str) -> str | None:
    """Why a server could not present it; a key with a password must not make the start wait for somebody to type."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            Path(cert), Path(key), password=lambda: "no password is asked for"
        )
    except OSError as error:  # ssl.SSLError is one
        return error.strerror or type(error).__name__
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        network = ip_network(text)
    except ValueError:
        return False
    return network.prefixlen > 0  # "everybody" is no list
