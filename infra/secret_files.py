"""Secrets come from the environment or from a file that it names; none has a default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def read_secret(env: Mapping[str, str], name: str) -> str | None:
    """The variable's value, or the text of the file that `<name>_FILE` names: container engines mount secrets as files.

    Raises:
        ValueError: both are set, or the file cannot be read.
    """
    value, file = env.get(name) or None, env.get(f"{name}_FILE") or None
    if file is None:
        return value
    if value is not None:
        raise ValueError(f"{name} and {name}_FILE are both set: unset one of them")
    try:
        return Path(file).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_FILE = {file!r} cannot be read: {type(error).__name__}") from error
