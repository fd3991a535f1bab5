"""click's own sentences in the language of the screens: usage, options that are missing or unknown, values that cannot be.

click asks gettext for each of them, through the names `_` and `ngettext` of its modules; here these names are ours. A
catalogue file of gettext's would be chosen by the locale's variables, which every program that is started reads, too.
The English texts of the group `click` are click's, word for word: by them a sentence is found (a test holds that).
"""

from __future__ import annotations

from contextvars import ContextVar

import click
from click import core, decorators, exceptions, formatting, parser, types

from wording.catalogue import LANGUAGES, Language, catalogue

MODULES = (core, decorators, exceptions, formatting, parser, types)
GROUP = "click"
_spoken: ContextVar[Language] = ContextVar("spoken", default="zh")
_key_of = {text: f"{GROUP}.{key}" for key, text in catalogue("en").group(GROUP).items()}


def teach_click() -> None:
    """Let click say its sentences through our catalogue."""
    for module in MODULES:
        names = vars(module)
        names["_"] = _worded
        if "ngettext" in names:
            names["ngettext"] = _counted


def speak(language: Language) -> None:
    """Choose the language from here on."""
    _spoken.set(language)


def speak_option(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of `--lang`: it counts for what is wrong behind it, too."""
    for language in LANGUAGES:
        if value == language:
            speak(language)
    return value


def _worded(message: str) -> str:
    """The sentence with its gaps open, as click fills them; one we have no words for as it is."""
    key = _key_of.get(message)
    return message if key is None else catalogue(_spoken.get()).texts[key]


def _counted(one: str, many: str, count: int) -> str:
    return _worded(one if count == 1 else many)
