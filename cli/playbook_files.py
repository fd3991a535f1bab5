"""Reading a playbook from a file, so that whatever is wrong with the file is a problem with its name."""

from __future__ import annotations

from pathlib import Path

from domain.errors import Problem, Refused
from domain.plan import Plan
from playbooks.reading import MOST_BYTES, plan_of, read_yaml


def read_playbook(path: Path) -> Plan:
    """The plan a file holds.

    Raises:
        Refused: the file cannot be read, is not YAML, or is not a plan: one problem for everything wrong.
    """
    return plan_of(_load(path))


def _load(path: Path) -> object:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except IsADirectoryError as error:
        raise _refused(path, "is_a_folder") from error
    except FileNotFoundError as error:
        raise _refused(path, "no_file") from error
    except OSError as error:
        raise _refused(path, "unreadable_file", why=error.strerror or type(error).__name__) from error
    return read_yaml(data, field="FILE", value=str(path))


def _refused(path: Path, code: str, **params: str | int) -> Refused:
    return Refused([Problem("FILE", str(path), code, params)])
