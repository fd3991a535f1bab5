"""The curl lines of the pages on accounts and staff are asked of the API as they stand, in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.brand import Brand

DOCS = Path(__file__).resolve().parents[2] / "docs"
LINE = re.compile(r"^curl (?=.*\$api/).*$", re.MULTILINE)
IDS = {"ACCOUNT": "account_id", "GRANT": "grant_id", "TOKEN": "token_id"}
"""What the page calls an id, and the field of an answer it is in."""


def lines(page: str) -> list[str]:
    return LINE.findall((DOCS / page).read_text(encoding="utf-8"))


async def ask(api: Api, line: str, known: dict[str, str]) -> str:
    """Ask what a line says; remember the ids of the first answer that has them. Answers the operation's address."""
    for name, value in known.items():
        line = line.replace(f"${name}", value)
    words = shlex.split(line, comments=True)[1:]
    (address,) = (word for word in words if word.startswith("$api"))
    told = {flag: words[words.index(flag) + 1] for flag in ("-d", "-X", "-H") if flag in words}
    method = told.get("-X", "POST" if "-d" in told else "GET")
    headers = {"Content-Type": "application/json"} | dict([told["-H"].split(": ", 1)] if "-H" in told else [])
    answer = await api.http.request(
        method, address.removeprefix("$api"), content=told.get("-d"), headers=headers
    )
    assert answer.status_code in {200, 201}, f"{line}\n{answer.text}"
    for name, field in IDS.items():
        found = re.search(rf'"{field}":"([^"]+)"', answer.text)
        if found is not None and (name != "GRANT" or "/grants" in address):
            known.setdefault(name, found[1])
    return f"{method} {address}"


@pytest.mark.parametrize(
    ("page", "parts"), [("accounts.md", {"accounts", "tokens", "stores"}), ("staff.md", {"staff"})]
)
async def test_every_route_of_the_page_has_an_example_that_works(
    api: Api, shop: Brand, page: str, parts: set[str]
) -> None:
    for store in ("S2", "S3"):
        await shop.open_store(store)
    await shop.execute("UPDATE store SET region = '华东'")
    await shop.hire("G7", "S2")
    known: dict[str, str] = {}
    asked = [await ask(api, line, known) for line in lines(page)]
    for path, operations in api.app.openapi()["paths"].items():
        for method, operation in operations.items():
            if parts & set(operation["tags"]):
                shape = re.sub(r"\\{\w+\\}", "[^/?]+", re.escape(path))
                example = re.compile(rf"{method.upper()} \$api{shape}(\?.*)?")
                assert any(map(example.fullmatch, asked)), f"docs/{page} shows no {method.upper()} {path}"
