"""What a login may be: one spelling for what people type in many."""

from __future__ import annotations

import re
import unicodedata

LONGEST_LOGIN = 64
_LOGIN = re.compile(rf"\w[\w.@+-]{{1,{LONGEST_LOGIN - 1}}}")


def login_of(typed: str) -> str:
    """The login somebody means: without spaces around it, in lower case, full-width letters as plain ones."""
    return unicodedata.normalize("NFKC", typed).strip().lower()


def is_login(login: str) -> bool:
    """Whether an account may be given this login: 2 to 64 letters, digits and . _ @ + -, a letter or digit first."""
    return _LOGIN.fullmatch(login) is not None
