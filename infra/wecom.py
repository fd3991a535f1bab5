"""WeCom web sign-in (`snsapi_base`): a code from the browser becomes a member's userid.

`gettoken` gives an access token for two hours, the same to everybody of the application, so it is kept; one that was taken
back early is fetched anew once. Fields and codes as on developer.work.weixin.qq.com (paths 91022, 91023, 91039, 90313).
"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlencode

from domain.errors import DaogouError
from infra.provider_calls import ProviderAway, Told, Unproven, ask_provider, away
from infra.sign_in_settings import Wecom

TOKEN_DATED = frozenset({40014, 42001})
"""The access token is not valid (any more)."""
CODE_SPENT = 40029
"""The code is invalid: used before, or older than five minutes."""
EARLIER_S = 120.0
"""A token is not used in its last two minutes."""
LONGEST_USER = 64


class NotAMember(DaogouError):
    """Somebody of WeChat or of another corporation."""


class WecomApp:
    """One application of a corporation, and the access token it has."""

    def __init__(self, settings: Wecom) -> None:
        self._settings = settings
        self._token: tuple[float, str] | None = None
        """Until when by this process's clock, and the token."""
        self._asking = asyncio.Lock()

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Where the browser is sent; WeCom takes letters and digits for the state, 128 at most."""
        query = urlencode({
            "appid": self._settings.corp_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": "snsapi_base",
            "state": state,
            "agentid": self._settings.agent_id,
        })  # fmt: skip
        return f"{self._settings.open}/connect/oauth2/authorize?{query}#wechat_redirect"

    async def user(self, code: str) -> str:
        """The member who came back with this code, in lower case: WeCom does not tell cases apart.

        Raises:
            NotAMember: it is no member of the corporation.
            Unproven: the code is not taken.
            ProviderAway: WeCom cannot be asked, or does not take us.
        """
        token = await self._access_token()
        told = await self._asked(token, code)
        if _code(told) in TOKEN_DATED:
            token = await self._access_token(other_than=token)
            told = await self._asked(token, code)
        errcode = _code(told)
        if errcode == CODE_SPENT:
            raise Unproven(f"errcode_{errcode}")
        if errcode != 0:
            raise self._refused(errcode)
        user = told.text("userid")
        if 0 < len(user) <= LONGEST_USER:
            return user.lower()
        if told.text("openid") or told.text("external_userid"):
            raise NotAMember
        raise away(self._settings.api, "no_userid")

    async def _asked(self, token: str, code: str) -> Told:
        url = f"{self._settings.api}/cgi-bin/auth/getuserinfo"
        return await ask_provider(url, query={"access_token": token, "code": code})

    async def _access_token(self, *, other_than: str | None = None) -> str:
        async with self._asking:
            kept = self._token
            if kept is not None and kept[1] != other_than and time.monotonic() < kept[0]:
                return kept[1]
            url = f"{self._settings.api}/cgi-bin/gettoken"
            secret = self._settings.secret.get_secret_value()
            told = await ask_provider(url, query={"corpid": self._settings.corp_id, "corpsecret": secret})
            token, lasts = told.text("access_token"), told.body.get("expires_in")
            if _code(told) != 0 or not token or not isinstance(lasts, int):
                raise self._refused(_code(told))
            self._token = (time.monotonic() + lasts - EARLIER_S, token)
            return token

    def _refused(self, errcode: int) -> ProviderAway:
        return away(self._settings.api, f"errcode_{errcode}")


def _code(told: Told) -> int:
    """WeCom's errcode, 0 where all is well; -1 where it is none, as for a WeCom that is busy."""
    code = told.body.get("errcode", 0)
    return code if isinstance(code, int) and told.status == 200 else -1
