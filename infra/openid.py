"""OpenID Connect: authorization code with PKCE, and an ID token that proves who came back.

What must hold before a subject is believed: the discovery document is the configured issuer's own, its endpoints lie on
the issuer's host or one that is named in the settings, the token is signed by one of its keys with an algorithm of
`ALGORITHMS`, and issuer, audience, expiry and nonce are right.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from infra.provider_calls import Told, Unproven, ask_provider, away
from infra.sign_in_settings import Oidc, is_https

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures only: no `none`, and nothing whose key is a secret we share."""
SCOPE = "openid"
"""Who it is, and nothing else about them."""
LEEWAY_S = 60
"""Clocks may differ so much."""
KEPT_S = 600.0
"""Discovery and keys are asked for anew after so long."""
KEYS_AGAIN_S = 30.0
"""A key nobody knows makes us ask again, but not more often."""
LONGEST_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorize: str
    token: str
    keys: str
    secret_in_form: bool


class OpenId:
    """One client at one provider; what the provider says about itself is kept for some minutes."""

    def __init__(self, client: Oidc) -> None:
        self._client = client
        self._endpoints: tuple[float, _Endpoints] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def authorize_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent.

        Raises:
            ProviderAway: the provider cannot be asked where that is.
        """
        url: str = prepare_grant_uri(
            (await self._discovered()).authorize,
            client_id=self._client.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url

    async def subject(
        self, *, code: str, issuer: str, verifier: str, nonce: str, redirect_uri: str, at: datetime
    ) -> str:
        """Who came back: the identity of `identity_of`.

        Args:
            code: as it came back.
            issuer: as it came back (RFC 9207), empty where the provider says none: another one's code is not ours to use.
            verifier: of PKCE.
            nonce: what the ID token must repeat.
            redirect_uri: the one the code was asked for.
            at: now.

        Raises:
            Unproven: the code is not taken, or the ID token does not prove anything.
            ProviderAway: the provider cannot be asked.
        """
        if issuer not in {"", self._client.issuer}:
            raise Unproven("iss")
        endpoints = await self._discovered()
        client, secret = self._client.client_id, self._client.client_secret.get_secret_value()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        if endpoints.secret_in_form:
            told = await ask_provider(
                endpoints.token, form=form | {"client_id": client, "client_secret": secret}
            )
        else:
            # RFC 6749, 2.3.1: both are form-encoded before they become a login.
            told = await ask_provider(
                endpoints.token, form=form, login=(quote(client, ""), quote(secret, ""))
            )
        if told.text("error") == "invalid_grant":
            raise Unproven("invalid_grant")
        if told.status != 200 or not told.text("id_token"):
            raise away(endpoints.token, f"status_{told.status}_{_word(told.text('error'))}")
        return await self._proven(told, nonce, at)

    async def _proven(self, told: Told, nonce: str, at: datetime) -> str:
        try:
            token = await self._signed(told.text("id_token"))
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._client.issuer},
                    "aud": {"essential": True, "value": self._client.client_id},
                    "sub": {"essential": True},
                },
                params={
                    "nonce": nonce,
                    "client_id": self._client.client_id,
                    "access_token": told.text("access_token"),
                },
            )
            claims.validate(now=int(at.timestamp()), leeway=LEEWAY_S)
        except JoseError as error:
            raise Unproven(f"{type(error).__name__} {getattr(error, 'claim', '')}".strip()) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # The token is somebody else's text: what a library makes of a broken one is no fault of ours.
            raise Unproven(type(error).__name__) from error
        subject = claims["sub"]
        if not 0 < len(subject) <= LONGEST_SUBJECT:
            raise Unproven("subject_length")
        return identity_of(self._client.issuer, subject)

    async def _signed(self, token: str) -> jwt.Token:
        """The token, its signature verified; with a key that came after ours, the keys are asked for again."""
        try:
            return jwt.decode(token, await self._key_set(KEPT_S), algorithms=ALGORITHMS)
        except InvalidKeyIdError:
            return jwt.decode(token, await self._key_set(KEYS_AGAIN_S), algorithms=ALGORITHMS)

    async def _discovered(self) -> _Endpoints:
        if self._endpoints is not None and time.monotonic() - self._endpoints[0] < KEPT_S:
            return self._endpoints[1]
        url = f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration"
        told = await ask_provider(url)
        if told.status != 200:
            raise away(url, f"status_{told.status}")
        if told.text("issuer") != self._client.issuer:
            raise away(url, "another_issuer")
        ways = told.body.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        found = _Endpoints(
            self._own(url, told.text("authorization_endpoint")),
            self._own(url, told.text("token_endpoint")),
            self._own(url, told.text("jwks_uri")),
            secret_in_form=isinstance(ways, list)
            and "client_secret_basic" not in ways
            and "client_secret_post" in ways,
        )
        self._endpoints = (time.monotonic(), found)
        return found

    def _own(self, url: str, endpoint: str) -> str:
        """The endpoint, if it is one we may ask."""
        hosts = {urlsplit(self._client.issuer).hostname, *self._client.hosts}
        if not is_https(endpoint) or urlsplit(endpoint).hostname not in hosts:
            raise away(url, "endpoint_elsewhere")
        return endpoint

    async def _key_set(self, kept_s: float) -> KeySet:
        if self._keys is not None and time.monotonic() - self._keys[0] < kept_s:
            return self._keys[1]
        url = (await self._discovered()).keys
        told = await ask_provider(url)
        listed = told.body.get("keys")
        if told.status != 200 or not isinstance(listed, list):
            raise away(url, "no_keys")
        found: list[OctKey | RSAKey | ECKey | OKPKey] = []
        found += [key for one in listed if (key := _key(one)) is not None]
        self._keys = (time.monotonic(), KeySet(found))
        return self._keys[1]


def identity_of(issuer: str, subject: str) -> str:
    """How an account names somebody of a provider: an issuer is a URL, so the first space ends it."""
    return f"{issuer} {subject}"


def _key(written: object) -> RSAKey | ECKey | None:
    """A key that verifies; None: one of another use or kind, which providers list beside."""
    kinds: dict[object, type[RSAKey | ECKey]] = {"RSA": RSAKey, "EC": ECKey}
    if not isinstance(written, dict) or written.get("use", "sig") != "sig":
        return None
    kind = kinds.get(written.get("kty"))
    if kind is None:
        return None
    try:
        return kind.import_key(written)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _word(text: str) -> str:
    """A code of the protocol, fit for a log."""
    return "".join(sign for sign in text[:40] if sign.isalnum() or sign == "_")
