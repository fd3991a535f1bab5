"""Settings: one frozen object, read from the environment once and passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

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
    temporal_address: str | None = None
    """A Temporal of yours (TEMPORAL_ADDRESS); None: the embedded one."""
    tenant_id: int = 1
    language: Literal["zh", "en"] = "zh"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        pydantic.ValidationError: a variable has a value that cannot be.
    """
    env = os.environ if environment is None else environment
    return Settings(
        home=Path(env.get("DAOGOU_HOME") or Path(__file__).resolve().parent.parent / ".daogou"),
        database=env.get("DAOGOU_DATABASE") or DEFAULT_DATABASE,
        database_url=env.get("DATABASE_URL") or None,
        database_admin_url=env.get("DATABASE_ADMIN_URL") or env.get("DATABASE_URL") or None,
        temporal_address=env.get("TEMPORAL_ADDRESS") or None,
        tenant_id=int(env.get("DAOGOU_TENANT") or 1),
        language="en" if (env.get("DAOGOU_LANG") or "").lower().startswith("en") else "zh",
    )
