"""What a password or PIN may be: long enough, not one of those that are tried first; any characters, as ASVS has it."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

from domain.errors import Problem

SHORTEST, LONGEST = 10, 128
"""Characters. NIST SP 800-63B asks for 8 at least where there is a second factor and lets 64 be enough at most."""
MOST_TYPED = 1024
"""Characters that are looked at: one may become eighteen, and several one."""
PIN_DIGITS = 6
SHORTEST_STEM = 6
MOST_AROUND = 6
"""A common password with so many digits and marks around it is a common password."""
FEWEST_DIFFERENT = 4
_COMMON = Path(__file__).parent / "common_passwords.txt"
_UP, _DOWN = "01234567890", "09876543210"


def normalised(secret: str) -> str:
    """The same characters however they were typed: full-width digits of a Chinese keyboard are digits.

    Of what is longer than anybody types, the beginning.
    """
    return unicodedata.normalize("NFKC", secret[:MOST_TYPED])


def password_problem(password: str, login: str, *, field: str) -> Problem | None:
    """What speaks against a password of this login; None: nothing. The problem does not repeat it."""
    told = normalised(password)
    code = ""
    if not SHORTEST <= len(told) <= LONGEST:
        code = "password_length"
    elif login.lower() in {told.lower(), _stem(told.lower())}:
        code = "password_is_login"
    elif _is_common(told.lower()):
        code = "password_common"
    return Problem(field, "", code, {"least": SHORTEST, "most": LONGEST}) if code else None


def pin_problem(pin: str, *, field: str) -> Problem | None:
    """What speaks against a PIN; None: nothing. The problem does not repeat it."""
    told = normalised(pin)
    if len(told) != PIN_DIGITS or not (told.isascii() and told.isdigit()):
        return Problem(field, "", "pin_not_digits", {"digits": PIN_DIGITS})
    return Problem(field, "", "pin_trivial") if is_trivial(told) else None


def is_trivial(pin: str) -> bool:
    """Whether a PIN is tried first: one or two different digits, a run up or down, three digits or two twice over."""
    half, third = PIN_DIGITS // 2, PIN_DIGITS // 3
    return (
        len(set(pin)) < 3
        or pin in _UP
        or pin in _DOWN
        or pin == pin[:half] * 2
        or pin == pin[:third] * 3
        or pin in {"112233", "332211", "123321", "520131", "147258", "258369"}
    )


def _is_common(password: str) -> bool:
    stem = _stem(password)
    around = len(password) - len(stem)
    return (
        len(set(password)) < FEWEST_DIFFERENT
        or password in _common()
        or (len(stem) >= SHORTEST_STEM and around <= MOST_AROUND and stem in _common())
    )


def _stem(password: str) -> str:
    """The password without the digits and marks before and after."""
    letters = [place for place, char in enumerate(password) if char.isalpha()]
    return password[letters[0] : letters[-1] + 1] if letters else ""


@cache
def _common() -> frozenset[str]:
    lines = _COMMON.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
