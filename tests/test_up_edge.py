"""`daogou up` beyond the loopback: with a certificate it serves, prints both addresses and is healthy; without, it is refused."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import httpx

from tests.api.test_serve import this_machine
from tests.certificates import write_certificate
from tests.test_up import daogou, status


def test_without_anybody_who_encrypts_nothing_is_started(tmp_path: Path) -> None:
    for words, field in ((("--host", "0.0.0.0"), "--host"), ((), "DAOGOU_API_HOST")):  # noqa: S104 - refused
        told = {} if words else {"DAOGOU_API_HOST": "0.0.0.0"}  # noqa: S104
        done = daogou(tmp_path, "up", "--detach", *words, "--json", **told)
        assert done.returncode == 1, done.stderr
        problems = json.loads(done.stdout)["error"]["problems"]
        assert [(one["field"], one["code"]) for one in problems] == [
            (field, "bind_without_tls"),
            ("DAOGOU_PUBLIC_URL", "public_url_missing"),
        ]
        assert all(one["reason"] and "DAOGOU_" in one["remedy"] for one in problems)
    assert not (tmp_path / "run").exists()


def test_a_provider_that_is_set_halfway_is_told_before_anything_is_started(tmp_path: Path) -> None:
    done = daogou(tmp_path, "up", "--detach", "--json", DAOGOU_WECOM_CORP_ID="ww1")
    assert done.returncode == 1
    fields = {one["field"] for one in json.loads(done.stdout)["error"]["problems"]}
    assert fields == {"DAOGOU_WECOM_AGENT_ID", "DAOGOU_WECOM_SECRET", "DAOGOU_PUBLIC_URL"}
    assert not (tmp_path / "run").exists()


def test_with_a_certificate_it_serves_another_address_and_is_seen_to_be_healthy(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "shop.example")
    home, host = tmp_path / "home", this_machine()
    told = {
        "DAOGOU_PUBLIC_URL": "https://shop.example",
        "DAOGOU_TLS_CERT": str(cert),
        "DAOGOU_TLS_KEY": str(key),
    }
    started = daogou(home, "up", "--detach", "--workers", "0", "--host", host, "--json", **told)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        state = json.loads(started.stdout)
        assert state["api"].startswith(f"https://{host}:")
        assert state["api_public"] == "https://shop.example"
        trusting = ssl.create_default_context(cafile=cert)
        trusting.check_hostname = False
        with httpx.Client(verify=trusting, trust_env=False, headers={"host": "shop.example"}) as http:
            assert http.get(f"{state['api']}/v1/plans").status_code == 401
        # Another shell, which knows nothing of the settings.
        code, seen = status(home)
        assert (code, seen["health"]["api"]["ok"], seen["api"]) == (0, True, state["api"])
        assert "https://shop.example" in daogou(home, "status").stdout
        cert.write_bytes(write_certificate(tmp_path, "another.example")[0].read_bytes())
        code, seen = status(home)
        assert (code, seen["health"]["api"]["ok"]) == (1, False), (
            "what it shows is not the file's certificate"
        )
    finally:
        daogou(home, "down")
