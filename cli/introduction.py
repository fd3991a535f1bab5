"""Telling the first account's password: once, to the terminal or the program that asked, and to no file.

A detached `up` writes its console to a file, so it tells the command that started it through a pipe.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cli.layout import heading, labelled
from cli.session import Session
from infra.first_account import FirstAccount

_MOST_BYTES = 4096


@dataclass
class Introduction:
    """What is done with a first account: handed on (`to` is a pipe's descriptor), put into the JSON, or shown."""

    session: Session
    to: int | None
    _made: FirstAccount | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.to is not None:
            os.set_inheritable(self.to, False)  # noqa: FBT003 - the standard library's own signature

    @property
    def json(self) -> dict[str, Any]:
        """`first_account`: login and password where one was made just now, else null."""
        made = self._made
        return {"first_account": made and {"login": made.login, "password": made.password}}

    def make(self, made: FirstAccount) -> None:
        """Tell of an account that was made just now."""
        if self.to is not None:
            with suppress(OSError):  # whoever asked is gone: `daogou account reset` gives another password
                os.write(self.to, json.dumps({"login": made.login, "password": made.password}).encode())
                os.close(self.to)
            return
        self._made = made
        if self.session.as_json:
            return
        words, out = self.session.words, self.session.out
        if not sys.stdout.isatty():
            # What is no terminal may be a file or a service's log.
            command = self.session.command("account", "reset", made.login)
            out.print(words("up.first_account_unseen", login=made.login, command=command))
            return
        out.print(heading(words("up.first_account")))
        out.print(
            labelled(
                (words("up.first_account_login"), made.login),
                (words("up.first_account_password"), made.password),
            )
        )


class Told:
    """A pipe on which a detached `up` tells of the account it made."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()

    def read(self) -> FirstAccount | None:
        """What was told until now; None: nothing. Nothing more is heard."""
        os.close(self.writing)
        os.set_blocking(self._reading, False)
        try:
            told = os.read(self._reading, _MOST_BYTES)
        except BlockingIOError:
            return None
        finally:
            os.close(self._reading)
        return FirstAccount(**json.loads(told)) if told else None
