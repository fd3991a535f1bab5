"""Phone numbers, so that one number written in two ways is one."""

from __future__ import annotations

import re

_SHORTEST, _LONGEST = 5, 15
_CHINA = re.compile(r"^(?:00)?86(1\d{10})$")


def dialled(number: str) -> str | None:
    """The digits of a number as it is dialled at home; None: it is none.

    Spaces, hyphens, brackets and a plus do not count; before a Chinese mobile number neither does its country's code.
    """
    digits = "".join(char for char in number if char.isascii() and char.isdigit())
    mobile = _CHINA.match(digits)
    if mobile is not None:
        return mobile.group(1)
    digits = digits.removeprefix("00") if digits.startswith("00") else digits
    return digits if _SHORTEST <= len(digits) <= _LONGEST else None
