"""A small OpenID provider on the loopback, as strict as a real one, and able to lie where a test wants it to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "daogou-client", "a secret/of:the client"
Answer = tuple[int, dict[str, str], bytes]


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


def as_json(status: int, body: object) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(body).encode()


@dataclass
class Provider:
    """Knobs are set by tests; `asked` are the paths of requests in order."""

    url: str = ""
    key: RSAKey = field(default_factory=lambda: new_key("one"))
    subject: str = "248289761001"
    now: int = 0
    lie: Callable[[dict[str, Any]], object] = lambda _claims: None
    """Changes the claims before they are signed."""
    sign: Callable[[dict[str, Any]], str] | None = None
    """Instead of the key."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """Instead of what would stand in the document."""
    instead: dict[str, Answer] = field(default_factory=dict)
    """Answers by path."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorized: dict[str, str] = field(default_factory=dict)
    """Parameters of the last authorization."""

    def answer(self, path: str, query: dict[str, str], form: dict[str, str], login: str) -> Answer:
        self.asked.append(path)
        if path in self.instead:
            return self.instead[path]
        match path:
            case "/.well-known/openid-configuration":
                document = {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/jwks",
                    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                }
                return as_json(200, document | self.discovery)
            case "/jwks":
                others = [{"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA", "use": "enc"}, "nonsense"]
                return as_json(200, {"keys": [*others, self.key.as_dict(private=False)]})
            case "/authorize":
                return self._authorize(query)
            case "/token":
                return self._token(form, login)
        return as_json(404, {})

    def _authorize(self, query: dict[str, str]) -> Answer:
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["scope"].split()[0] == "openid"
        assert query["code_challenge_method"] == "S256"
        assert query["state"]
        assert query["nonce"]
        self.authorized = query
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = urlencode({"code": code, "state": query["state"], "iss": self.url})
        return 302, {"location": f"{query['redirect_uri']}?{back}"}, b""

    def _token(self, form: dict[str, str], login: str) -> Answer:
        if login:
            client, _, secret = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
            told = (unquote(client), unquote(secret))
        else:
            told = (form.get("client_id", ""), form.get("client_secret", ""))
        if told != (CLIENT, SECRET):
            return as_json(401, {"error": "invalid_client"})
        asked = self.codes.pop(form["code"], None)
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            asked is None
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return as_json(400, {"error": "invalid_grant"})
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": self.subject,
            "aud": CLIENT,
            "nonce": asked["nonce"],
            "iat": self.now,
            "exp": self.now + 300,
        }
        self.lie(claims)
        signed = (
            self.sign(claims)
            if self.sign
            else jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        )
        return as_json(200, {"access_token": "opaque", "token_type": "Bearer", "id_token": signed})


@contextmanager
def serving(answer: Callable[[str, dict[str, str], dict[str, str], str], Answer]) -> Iterator[str]:
    """An HTTP server on the loopback that answers with (path, query, form, authorization); gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def _do(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            status, headers, content = answer(parts.path, query, form, self.headers.get("authorization", ""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
