"""Passwords and PINs: kept as argon2id, checked in a thread, drawn where somebody is given one.

A login nobody has costs the same check as one that exists, so that the time of an answer does not tell which it was.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from activities.password_rules import LONGEST, PIN_DIGITS, is_trivial, normalised

# OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
SPOKEN = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Letters and digits that are not taken for each other when read aloud or off a screen."""
_GROUP = 4
LONGEST_CODE = 40
"""Characters as typed: one may become eighteen by NFKC."""


def hash_password(password: str) -> str:
    """argon2id of a password or PIN, with its parameters; some 20 ms of a core: keep it off the event loop."""
    return HASHER.hash(normalised(password))


async def hash_secret(secret: str) -> str:
    """The same in a thread."""
    return await asyncio.to_thread(hash_password, secret)


async def proves(secret: str, kept: str | None) -> bool:
    """Whether the secret is the one that was kept; without one it takes as long and is not."""
    return await asyncio.to_thread(_proves, secret, kept)


def is_dated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return HASHER.check_needs_rehash(kept)


def one_time_pin() -> str:
    """Six random digits that are not tried first."""
    while is_trivial(pin := "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))):
        pass
    return pin


def device_code() -> str:
    """What binds a phone: 39 random bits in two groups of four."""
    return "-".join("".join(secrets.choice(SPOKEN) for _ in range(_GROUP)) for _ in range(2))


def heard(code: str) -> str:
    """A code as it is kept, however it was typed; of what is longer than any code, the beginning."""
    code = code[:LONGEST_CODE]
    return "".join(char for char in normalised(code).upper() if char.isalnum())


def _proves(secret: str, kept: str | None) -> bool:
    told = normalised(secret)
    fits = len(told) <= LONGEST
    try:
        proven = HASHER.verify(kept or _nobodys(), told if fits else "")
    except (VerificationError, InvalidHashError):
        return False
    return proven and fits and kept is not None


@cache
def _nobodys() -> str:
    """A hash of what nobody knows, to hold wrong logins against."""
    return HASHER.hash(secrets.token_urlsafe(32))
