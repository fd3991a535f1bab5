"""What a check-in may name as intended products: the brand's own words for goods, and nothing that could be a person.

They are in the event, which is for ever. So a free text is refused: a category of the brand is taken, whatever its name,
and else what looks like an article number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_ARTICLE = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._/-]{0,31}")
"""Short, without spaces, with a digit in it: names have none."""
_SEPARATORS = re.compile(r"[._/-]")
_PERSONAL = re.compile(r"(?<![0-9])(?:86)?1[3-9][0-9]{9}(?![0-9])|[0-9]{15}")
"""A mobile number, or as many digits as an identity card has; the longest article number has fourteen."""


def unknown_products(named: Iterable[str], categories: Collection[str]) -> list[str]:
    """Of the products a report names, those it may not: neither a category of the brand nor an article number."""
    return [name for name in named if name not in categories and not _is_article(name)]


def _is_article(name: str) -> bool:
    return _ARTICLE.fullmatch(name) is not None and _PERSONAL.search(_SEPARATORS.sub("", name)) is None
