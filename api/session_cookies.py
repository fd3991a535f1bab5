"""The cookies of a session: its secret, which no script sees, and what changing requests repeat, which one may."""

from __future__ import annotations

from fastapi import Request, Response

from activities.sessions import SESSION_FOR, Session
from api.signing import LONGEST_SECRET, SESSION, cookie_name
from ledger.devices import DEVICE_FOR

CSRF_COOKIE = "daogou_csrf"
"""Readable: a page puts it into X-CSRF-Token. It opens nothing by itself."""
DEVICE = "daogou_device"
"""Of a bound phone."""


def set_session(request: Request, response: Response, session: Session) -> None:
    """Put a session into the browser's cookies; Secure where the request came by https."""
    secure, seconds = request.url.scheme == "https", int(SESSION_FOR.total_seconds())
    response.set_cookie(
        cookie_name(request, SESSION),
        session.secret,
        max_age=seconds,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    response.set_cookie(
        cookie_name(request, CSRF_COOKIE),
        session.csrf,
        max_age=seconds,
        path="/",
        secure=secure,
        samesite="lax",
    )
    response.headers["cache-control"] = "no-store"


def clear_session(request: Request, response: Response) -> None:
    """Take both out again, and what the browser kept of the pages."""
    secure = request.url.scheme == "https"
    response.delete_cookie(
        cookie_name(request, SESSION), path="/", secure=secure, httponly=True, samesite="lax"
    )
    response.delete_cookie(cookie_name(request, CSRF_COOKIE), path="/", secure=secure, samesite="lax")
    response.headers["clear-site-data"] = '"cache", "storage"'


def set_device(request: Request, response: Response, secret: str) -> None:
    """Put a bound phone's secret into its cookies."""
    response.set_cookie(
        cookie_name(request, DEVICE),
        secret,
        max_age=int(DEVICE_FOR.total_seconds()),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    response.headers["cache-control"] = "no-store"


def cookie_of(request: Request, name: str) -> str | None:
    """A cookie's text, cut to what a secret can be."""
    told = request.cookies.get(cookie_name(request, name))
    return told[:LONGEST_SECRET] if told else None
