"""Beyond the loopback: the public name, who encrypts, whose word about the client is taken, what every answer carries."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from api.app import create_app
from domain.errors import Problem, Refused
from infra.edge_settings import Edge, read_edge, refuse_unsafe
from infra.settings import Settings
from infra.sign_in_settings import read_oidc, read_wecom, refuse_unusable
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at

PUBLIC = Edge(public_url="https://shop.example")
PROXIED = Edge(public_url="https://shop.example", trusted_proxies=("10.0.0.2", "10.1.0.0/16"))
CLIENT = "203.0.113.7"


def asking(served: Ledger, edge: Edge, *, client: str = "127.0.0.1", url: str) -> httpx.AsyncClient:
    """A client at an address, which asks an application with these settings; `/echo` tells what a route sees."""
    app: FastAPI = create_app(Settings(home=Path("nowhere"), edge=edge), served, clock=lambda: at(2, 10))

    @app.get("/echo")
    def echo(request: Request) -> dict[str, str | None]:
        return {"scheme": request.url.scheme, "client": request.client and request.client.host}

    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(client, 1)), base_url=url)


async def test_the_public_name_is_served_besides_the_loopbacks(brand: Brand, served: Ledger) -> None:
    async with asking(served, PUBLIC, client=CLIENT, url="https://shop.example") as http:
        for host in ("shop.example", "SHOP.example:443", "shop.example:8443", "localhost", "127.0.0.1:8400"):
            assert (await http.get("/health/ready", headers={"host": host})).status_code == 200, host
        for host in ("shop.example.evil", "evil.shop.example", "example", "", "10.0.0.1"):
            answer = await http.get("/health/ready", headers={"host": host})
            assert problem(answer) == (421, [("Host", "foreign_host")]), host


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 401),
        ("http://shop.example", 403),
        ("https://shop.example:8443", 403),
        ("https://evil.shop.example", 403),
        ("https://shop.example.evil", 403),
        ("http://localhost", 403),
        ("http://127.0.0.1:8400", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
async def test_under_the_public_name_only_its_own_pages_change_anything(
    brand: Brand, served: Ledger, origin: str, status: int
) -> None:
    async with asking(served, PUBLIC, client=CLIENT, url="https://shop.example") as http:
        answer = await http.post("/v1/plans/p1/pause", headers={"origin": origin})
        assert answer.status_code == status
        here = await http.post("/v1/plans/p1/pause", headers={"origin": origin, "host": "localhost"})
        assert here.status_code == (401 if "localhost" in origin or "127.0.0.1" in origin else 403)


async def test_the_public_origin_is_compared_with_its_port(brand: Brand, served: Ledger) -> None:
    edge = Edge(public_url="https://shop.example:8443")
    async with asking(served, edge, client=CLIENT, url="https://shop.example:8443") as http:
        for origin, status in (("https://shop.example:8443", 401), ("https://shop.example", 403)):
            answer = await http.post("/v1/plans/p1/pause", headers={"origin": origin})
            assert answer.status_code == status, origin


@pytest.mark.parametrize(
    ("client", "url"),
    [(CLIENT, "http://shop.example"), ("127.0.0.1", "http://shop.example"), (CLIENT, "http://127.0.0.1")],
)
async def test_what_comes_in_the_clear_from_elsewhere_is_turned_away_before_anything_is_read(
    brand: Brand, served: Ledger, client: str, url: str
) -> None:
    async with asking(served, PUBLIC, client=client, url=url) as http:
        for method, path in (("GET", "/v1/plans"), ("POST", "/v1/sessions"), ("GET", "/metrics")):
            assert problem(await http.request(method, path)) == (403, [("address", "https_required")])
        assert (await http.get("/health/ready")).status_code == 200, "a probe of whoever starts containers"


async def test_a_closed_network_may_do_without_when_it_is_said_aloud(brand: Brand, served: Ledger) -> None:
    edge = Edge(public_url="http://10.0.0.9:8400", allow_plain_http=True)
    async with asking(served, edge, client="10.0.0.7", url="http://10.0.0.9:8400") as http:
        assert problem(await http.get("/v1/plans"))[0] == 401
        assert "strict-transport-security" not in (await http.get("/health/live")).headers


FORWARDED = {"x-forwarded-for": CLIENT, "x-forwarded-proto": "https"}


@pytest.mark.parametrize("proxy", ["10.0.0.2", "10.1.7.7"])
async def test_a_trusted_proxy_says_who_asks_and_how(brand: Brand, served: Ledger, proxy: str) -> None:
    async with asking(served, PROXIED, client=proxy, url="http://shop.example") as http:
        answer = await http.get("/echo", headers=FORWARDED)
        assert answer.json() == {"scheme": "https", "client": CLIENT}
        assert answer.headers["strict-transport-security"] == "max-age=63072000"
        made_up = await http.get("/echo", headers=FORWARDED | {"x-forwarded-for": f"127.0.0.1, {CLIENT}"})
        assert made_up.json()["client"] == CLIENT, "what the client itself had put before is not believed"
        for told in ({"x-forwarded-for": CLIENT}, FORWARDED | {"x-forwarded-proto": "http"}, {}):
            assert problem(await http.get("/echo", headers=told)) == (403, [("address", "https_required")])


@pytest.mark.parametrize(("edge", "client"), [(PROXIED, "10.0.0.3"), (PROXIED, CLIENT), (PUBLIC, "10.0.0.2")])
async def test_nobody_else_is_believed(brand: Brand, served: Ledger, edge: Edge, client: str) -> None:
    async with asking(served, edge, client=client, url="https://shop.example") as http:
        told = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}
        assert (await http.get("/echo", headers=told)).json() == {"scheme": "https", "client": client}
    async with asking(served, edge, client=client, url="http://shop.example") as http:
        assert problem(await http.get("/echo", headers=FORWARDED))[0] == 403


async def test_not_even_the_loopback_is_believed_by_default(brand: Brand, served: Ledger) -> None:
    async with asking(served, Edge(), url="http://127.0.0.1") as http:
        assert (await http.get("/echo", headers=FORWARDED)).json() == {
            "scheme": "http",
            "client": "127.0.0.1",
        }


async def test_every_answer_is_kept_framed_and_sniffed_by_nobody(api: Api, served: Ledger) -> None:
    answers = [
        await api.get("/v1/plans"),
        await api.get("/v1/plans/none"),
        await api.get("/openapi.json"),
        await api.get("/metrics"),
        await api.get("/health/live"),
        await api.get("/none"),
        await api.get("/v1/sign-in/oidc"),
        await api.http.post("/v1/plans/check", content=b"{"),
        await api.http.post("/v1/plans/check", content=b"x" * 1_000_001),
        await api.http.get("/v1/plans", headers={"authorization": "Bearer none"}),
        await api.http.get("/v1/plans", headers={"host": "evil.example"}),
    ]
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 413, 421}
    for answer in answers:
        told = {name: answer.headers.get(name) for name in EXPECTED}
        assert told == EXPECTED, answer.url
        assert "server" not in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    async with asking(served, PUBLIC, client=CLIENT, url="https://shop.example") as http:
        for path in ("/v1/plans", "/health/live", "/none"):
            answer = await http.get(path, headers={"origin": "https://evil.example"})
            assert answer.headers["strict-transport-security"] == "max-age=63072000"
            assert not [name for name in answer.headers if name.startswith("access-control-")]


EXPECTED = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "strict-transport-security": None,
}


def refused(edge: Edge, host: str) -> list[tuple[str, str, str]]:
    try:
        refuse_unsafe(edge, host)
    except Refused as refusal:
        return [(one.field, one.value, one.code) for one in refusal.problems]
    return []


@pytest.mark.parametrize(
    ("edge", "host", "codes"),
    [
        (Edge(), "127.0.0.1", []),
        (Edge(), "[::1]", []),
        (Edge(), "localhost", []),
        (Edge(), "0.0.0.0", ["bind_without_tls", "public_url_missing"]),  # noqa: S104 - refused
        (Edge(public_url="https://shop.example"), "::", ["bind_without_tls"]),
        (PROXIED, "0.0.0.0", []),  # noqa: S104
        (PROXIED, "10.0.0.9", []),
        (PROXIED, "shop.example", ["host_not_an_address"]),
        (PROXIED, "", ["host_not_an_address"]),
        (Edge(public_url="http://10.0.0.9", allow_plain_http=True), "10.0.0.9", []),
        (Edge(allow_plain_http=True), "10.0.0.9", ["public_url_missing"]),
        (Edge(public_url="http://shop.example"), "127.0.0.1", ["public_url_plain"]),
        (Edge(public_url="http://localhost:8400"), "127.0.0.1", []),
        (Edge(trusted_proxies=("*",)), "127.0.0.1", ["proxy_not_an_address"]),
        (Edge(trusted_proxies=("0.0.0.0/0",)), "127.0.0.1", ["proxy_not_an_address"]),
        (Edge(trusted_proxies=("10.0.0.1/8",)), "127.0.0.1", ["proxy_not_an_address"]),
        (Edge(trusted_proxies=("proxy.example",)), "127.0.0.1", ["proxy_not_an_address"]),
        (Edge(tls_cert="cert.pem"), "127.0.0.1", ["tls_half"]),
        (Edge(tls_key="key.pem"), "127.0.0.1", ["tls_half"]),
        (Edge(tls_cert="none.pem", tls_key="none.key"), "127.0.0.1", ["tls_unusable"]),
    ],
    ids=str,
)
def test_what_would_let_passwords_travel_in_the_clear_is_refused(
    edge: Edge, host: str, codes: list[str]
) -> None:
    assert [code for _, _, code in refused(edge, host)] == codes


@pytest.mark.parametrize(
    "url",
    [
        "shop.example",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://u@a",
        "ftp://a",
        "https://a:99999",
        "https://[",
    ],
)
def test_a_public_url_is_scheme_host_and_port(url: str) -> None:
    assert refused(Edge(public_url=url), "127.0.0.1") == [("DAOGOU_PUBLIC_URL", url, "public_url_invalid")]


def test_the_edge_is_read_from_the_environment() -> None:
    told = read_edge({
        "DAOGOU_API_HOST": "10.0.0.9",
        "DAOGOU_PUBLIC_URL": "https://shop.example/",
        "DAOGOU_TRUSTED_PROXIES": "10.0.0.2, 10.1.0.0/16,",
        "DAOGOU_TLS_CERT": "c",
        "DAOGOU_TLS_KEY": "k",
        "DAOGOU_ALLOW_PLAIN_HTTP": "yes",
    })  # fmt: skip
    assert told == Edge(
        host="10.0.0.9",
        public_url="https://shop.example",
        tls_cert="c",
        tls_key="k",
        trusted_proxies=("10.0.0.2", "10.1.0.0/16"),
        allow_plain_http=False,  # only by 1, so that nobody turns it on by chance
    )
    assert read_edge({"DAOGOU_ALLOW_PLAIN_HTTP": "1"}).allow_plain_http
    assert read_edge({}) == Edge()


LONG = "0123456789abcdef"


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        ({}, []),
        (
            {"DAOGOU_OIDC_ISSUER": "https://id.example"},
            ["DAOGOU_OIDC_CLIENT_ID", "DAOGOU_OIDC_CLIENT_SECRET"],
        ),
        (
            {
                "DAOGOU_OIDC_ISSUER": "http://id.example",
                "DAOGOU_OIDC_CLIENT_ID": "a",
                "DAOGOU_OIDC_CLIENT_SECRET": LONG,
            },
            ["DAOGOU_OIDC_ISSUER"],
        ),
        (
            {
                "DAOGOU_OIDC_ISSUER": "https://id.example",
                "DAOGOU_OIDC_CLIENT_ID": "a",
                "DAOGOU_OIDC_CLIENT_SECRET": "b",
            },
            ["DAOGOU_OIDC_CLIENT_SECRET"],
        ),
        ({"DAOGOU_WECOM_CORP_ID": "ww1"}, ["DAOGOU_WECOM_AGENT_ID", "DAOGOU_WECOM_SECRET"]),
        (
            {
                "DAOGOU_WECOM_CORP_ID": "ww1",
                "DAOGOU_WECOM_AGENT_ID": "1",
                "DAOGOU_WECOM_SECRET": LONG,
                "DAOGOU_WECOM_API": "http://api.example",
            },
            ["DAOGOU_WECOM_API"],
        ),
    ],
    ids=str,
)
def test_a_provider_that_is_set_halfway_is_refused_without_its_secret(
    told: dict[str, str], fields: list[str]
) -> None:
    said: tuple[Problem, ...] = ()
    try:
        refuse_unusable(read_oidc(told), read_wecom(told), "https://shop.example")
    except Refused as refusal:
        said = refusal.problems
    assert [one.field for one in said] == fields
    assert LONG not in str(said)


def test_a_provider_needs_to_know_where_it_sends_people_back_to() -> None:
    whole = {
        "DAOGOU_OIDC_ISSUER": "https://id.example",
        "DAOGOU_OIDC_CLIENT_ID": "a",
        "DAOGOU_OIDC_CLIENT_SECRET": LONG,
    }
    with pytest.raises(Refused) as refusal:
        refuse_unusable(read_oidc(whole), None, None)
    assert [(one.field, one.code) for one in refusal.value.problems] == [
        ("DAOGOU_PUBLIC_URL", "public_url_for_sign_in")
    ]


def test_a_providers_secret_may_come_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{LONG}\n")
    found = read_oidc({"DAOGOU_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "secret")})
    assert found is not None
    assert found.client_secret.get_secret_value() == LONG
    assert LONG not in f"{found!r} {found} {found.model_dump_json()}"
