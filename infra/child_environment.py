"""What a worker or API process of `daogou up` is told: by environment, for command lines are seen by everybody."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infra.databases import DatabaseUrls
from infra.logs import LOG_FILE
from infra.settings import Settings
from infra.supervised_process import own_modules

OF_THE_API = ("DAOGOU_OIDC_", "DAOGOU_WECOM_", "DAOGOU_TLS_")


def child_environment(
    environment: Mapping[str, str],
    settings: Settings,
    *,
    urls: DatabaseUrls,
    admin: bool,
    temporal: str | None,
    log_file: Path,
) -> dict[str, str]:
    """The environment of a child.

    Args:
        environment: our own; the child inherits it but for what is said here.
        settings: where things are.
        urls: the database's logins.
        admin: whether the child gets the login that migrates.
        temporal: address of the embedded Temporal; None: the child finds yours as we do.
        log_file: where it writes its log.
    """
    dropped: tuple[str, ...] = ("DATABASE_",) if temporal is None else ("DATABASE_", "TEMPORAL_")
    if admin:
        dropped += (
            OF_THE_API  # a worker lets nobody in: it has no business with the secrets of those who vouch
        )
    told = {name: value for name, value in environment.items() if not name.startswith(dropped)}
    told |= {
        "DATABASE_URL": urls.worker if admin else urls.api,
        "DAOGOU_HOME": str(settings.home),
        "DAOGOU_DATABASE": settings.database,
        "DAOGOU_TENANT": str(settings.tenant_id),
        "DAOGOU_LANG": settings.language,
        LOG_FILE: str(log_file),
        "PYTHONPATH": own_modules(environment),
        "PYTHONUNBUFFERED": "1",
    }
    # The API must not fall back from a login it was not given to the other one either.
    told["DATABASE_ADMIN_URL"] = urls.admin if admin else urls.api
    told["DATABASE_API_URL"] = urls.api
    if temporal is not None:
        # A profile of the user's Temporal tools names another server, its namespace and its keys.
        told |= {
            "TEMPORAL_ADDRESS": temporal,
            "TEMPORAL_NAMESPACE": "default",
            "TEMPORAL_CONFIG_FILE": os.devnull,
        }
    return told
