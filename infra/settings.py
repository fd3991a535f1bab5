"""Settings: one frozen object, read from the environment once and passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict

from infra.edge_settings import Edge, read_edge
from infra.secret_files import read_secret
from infra.sign_in_settings import Oidc, Wecom, read_oidc, read_wecom

DEFAULT_DATABASE = "daogou"


class Settings(BaseModel):
    """Where things run. Nothing set: everything on this machine, below `home`."""

    model_config = ConfigDict(frozen=True)

    home: Path
    """Data, logs and reports of this checkout: `.daogou` unless DAOGOU_HOME says otherwise."""
    database: str = DEFAULT_DATABASE
    """Name of the database on the embedded server."""
    database_url: str | None = None
    """A PostgreSQL of yours for the running code (DATABASE_URL); None: the embedded one."""
    database_admin_url: str | None = None
    """The login that runs migrations on it (DATABASE_ADMIN_URL); the running code's where not set."""
    database_api_url: str | None = None
    """The login of the API on it (DATABASE_API_URL), a member of `daogou_api`; the running code's where not set."""
    keys_url: str | None = None
    """A PostgreSQL of its own for the members' keys (DAOGOU_KEYS_URL); None: a file of the home, for one machine."""
    temporal_address: str | None = None
    """A Temporal of yours (TEMPORAL_ADDRESS); None: the embedded one."""
    anchors: Path | None = None
    """The file that keeps copies of the seals outside the database (DAOGOU_ANCHORS); None: one in the home."""
    build_id: str | None = None
    """Turns on Temporal's worker versioning under this build (DAOGOU_BUILD_ID); None: patches alone keep runs going."""
    tenant_id: int = 1
    language: Literal["zh", "en"] = "zh"
    edge: Edge = Edge()
    """How requests come in: addresses, TLS, proxies."""
    oidc: Oidc | None = None
    """The OpenID provider people may sign in with."""
    wecom: Wecom | None = None
    """The WeCom application people may sign in with."""

    @property
    def ways(self) -> frozenset[str]:
        """What of `oidc` and `wecom` is configured: only there does a linked identity let anybody in."""
        return frozenset(way for way in ("oidc", "wecom") if getattr(self, way) is not None)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        pydantic.ValidationError: a variable has a value that cannot be.
        ValueError: a secret's file cannot be read, a secret is set twice, or a URL speaks another driver's words.
    """
    env = os.environ if environment is None else environment
    return Settings(
        home=Path(env.get("DAOGOU_HOME") or Path(__file__).resolve().parent.parent / ".daogou"),
        database=env.get("DAOGOU_DATABASE") or DEFAULT_DATABASE,
        database_url=_database_url(env, "DATABASE_URL"),
        database_admin_url=_database_url(env, "DATABASE_ADMIN_URL") or _database_url(env, "DATABASE_URL"),
        database_api_url=_database_url(env, "DATABASE_API_URL"),
        keys_url=_database_url(env, "DAOGOU_KEYS_URL"),
        temporal_address=env.get("TEMPORAL_ADDRESS") or None,
        anchors=Path(env["DAOGOU_ANCHORS"]) if env.get("DAOGOU_ANCHORS") else None,
        build_id=env.get("DAOGOU_BUILD_ID") or None,
        tenant_id=int(env.get("DAOGOU_TENANT") or 1),
        language="en" if (env.get("DAOGOU_LANG") or "").lower().startswith("en") else "zh",
        edge=read_edge(env),
        oidc=read_oidc(env),
        wecom=read_wecom(env),
    )


def _database_url(env: Mapping[str, str], name: str) -> str | None:
    url = read_secret(env, name)
    if url is not None and "sslmode" in parse_qs(urlsplit(url).query):
        raise ValueError(f"{name}: sslmode is another driver's word: write ssl=require or ssl=verify-full")
    return url
