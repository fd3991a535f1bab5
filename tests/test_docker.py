"""The image and the compose file, checked against the code as far as that goes without a container engine."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from sqlalchemy.engine import make_url
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

import worker
from api.__main__ import main as api_main
from domain.errors import Refused
from infra.api_socket import PORT
from infra.edge_settings import read_edge, refuse_unsafe
from infra.embedded_postgres import running_postgres
from infra.embedded_temporal import dev_server
from infra.workers import DRAIN
from ledger.database import API, WORKER
from tests.api.test_serve import served
from tests.certificates import write_certificate
from tests.conftest import LedgerDatabase

ROOT = Path(__file__).resolve().parent.parent
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
TLS: dict[str, Any] = yaml.safe_load((DOCKER / "compose.tls.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, e.g. ("COPY", "cli cli"), continued lines joined."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], " ".join(line.split()[1:])) for line in joined.splitlines() if line.strip()]


def copied() -> list[tuple[str, str]]:
    """What the image takes from the checkout: (source, target below /app)."""
    pairs = []
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            *sources, target = rest.split()
            pairs += [(source, target if len(sources) == 1 else source) for source in sources]
    return pairs


def last_stage() -> list[tuple[str, str]]:
    every = instructions()
    return every[max(number for number, (word, _) in enumerate(every) if word == "FROM") :]


def files_of_the_repository() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def enters_the_build(name: str) -> bool:
    """Whether .dockerignore lets a file in: the last pattern that matches it or a folder above it decides."""
    entered = True
    for pattern in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not pattern or pattern.startswith("#"):
            continue
        bare = pattern.removeprefix("!")
        expression = re.escape(bare).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{expression}(?:/.*)?", name):
            entered = pattern.startswith("!")
    return entered


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's /app: what the Dockerfile copies of what .dockerignore lets in."""
    app = tmp_path_factory.mktemp("app")
    for name in filter(enters_the_build, files_of_the_repository()):
        for source, target in copied():
            if name == source or name.startswith(f"{source}/"):
                place = app / target / name.removeprefix(source).lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place)
    return app


def environment(tree: Path, home: Path) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return inherited | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "DAOGOU_HOME": str(home)}


def run_in(tree: Path, home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run as the image does, but for the interpreter: only the tree's modules, no current folder, no inherited settings."""
    return subprocess.run(
        [sys.executable, "-P", *words],
        cwd=home,
        env=environment(tree, home) | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def probe(port: int) -> list[str]:
    """The API's health check, asked of `port` instead."""
    *words, code = SERVICES["api"]["healthcheck"]["test"][1:]
    asked = re.sub(r"(?<=http://127\.0\.0\.1:)\d+", str(port), code)
    return [*words, asked]


def serve_and_probe(tree: Path, home: Path, **settings: str) -> tuple[int, int]:
    """Exit codes of the health check while the tree's API runs, and of the API when it is then told to end."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "api", "--port", "0"],
        cwd=home,
        env=environment(tree, home) | settings,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r'"address": "http://127\.0\.0\.1:(\d+)"', line):
                break
        else:
            pytest.fail("the API ended before it listened")
        asked = run_in(tree, home, *probe(int(found[1]))[1:])
        process.terminate()
        process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return asked.returncode, process.returncode


async def create_database(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


def test_everything_copied_is_in_the_repository_and_enters_the_build() -> None:
    let_in = [name for name in files_of_the_repository() if enters_the_build(name)]
    for source, _ in copied():
        assert any(name == source or name.startswith(f"{source}/") for name in let_in), source


def test_every_package_of_the_project_is_copied() -> None:
    tools = PROJECT["tool"]["setuptools"]
    wanted = {name.split(".")[0] for name in tools["packages"]} | {
        f"{name}.py" for name in tools["py-modules"]
    }
    assert wanted <= {source for source, _ in copied()}


def test_no_data_secret_or_test_enters_the_build() -> None:
    for name in (
        ".daogou/postgres/PG_VERSION",
        ".git/config",
        ".venv/pyvenv.cfg",
        "docker/secrets/database_url",
        "tests/conftest.py",
        "cli/__pycache__/main.pyc",
        ".env",
    ):
        assert not enters_the_build(name), name


def test_the_copied_tree_verifies_itself(tree: Path, tmp_path: Path) -> None:
    where = run_in(tree, tmp_path, "-c", "import worker; print(worker.__file__)")
    assert where.stdout.strip() == str(tree / "worker.py"), where.stderr
    verified = run_in(tree, tmp_path, "-m", "worker", "verify")
    assert verified.returncode == 0, verified.stderr
    assert "histories replay" in verified.stdout


def test_the_copied_tree_migrates_a_database_and_serves_without_writing_into_itself(
    tree: Path, tmp_path: Path
) -> None:
    before = sorted(tree.rglob("*"))
    home = tmp_path / "home"
    home.mkdir()
    with running_postgres(tmp_path / ".daogou", settings={"shared_buffers": "16MB"}) as (_, address):
        asyncio.run(create_database(address.url("postgres"), "mine"))
        (tmp_path / "admin").write_text(address.url("mine"))
        for role in (WORKER, API):
            (tmp_path / role).write_text(address.url("mine", user=role, password=secrets.token_hex(32)))
        running = {"DATABASE_URL_FILE": str(tmp_path / WORKER)}
        api = {"DATABASE_URL_FILE": str(tmp_path / API)}
        ahead = {
            "DATABASE_API_URL_FILE": str(tmp_path / API),
            "DATABASE_ADMIN_URL_FILE": str(tmp_path / "admin"),
        }
        migrated = run_in(tree, home, "-m", "worker", "migrate", **running, **ahead)
        assert migrated.returncode == 0, migrated.stderr
        assert "daogou_worker: its password was set; daogou_api: its password was set" in migrated.stdout
        checked = run_in(tree, home, "-m", "worker", "check", **running)
        assert checked.returncode == 0, checked.stderr
        nowhere = {"TEMPORAL_ADDRESS": "127.0.0.1:9"}
        assert serve_and_probe(tree, home, **api, **nowhere) == (0, 0)
    assert sorted(tree.rglob("*")) == before
    assert not list(home.iterdir()), "with servers of yours nothing is kept beside them"


def test_the_image_runs_as_nobody_in_particular_and_installs_nothing_at_the_end() -> None:
    stage = last_stage()
    users = [rest for word, rest in stage if word == "USER"]
    assert users
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]), "a number that is not root's"
    runs = " ".join(rest for word, rest in stage if word == "RUN")
    assert "pip install" not in runs
    assert "uninstall --yes --quiet --root-user-action ignore pip" in runs
    assert not any(word == "ADD" for word, _ in instructions())
    words = [word for word, _ in stage]
    assert {"HEALTHCHECK", "STOPSIGNAL", "CMD"} <= set(words)
    assert words.index("COPY") < words.index("USER"), "the code is root's, and not the user's to change"


def test_what_is_installed_is_locked_by_hash() -> None:
    installs = [
        part
        for _, rest in instructions()
        for part in rest.split("&&")
        if " install " in part and "pip" in part
    ]
    assert len(installs) == 2
    assert all("--no-deps" in part for part in installs)
    assert "--require-hashes" in installs[0]
    assert "-r requirements/runtime.txt" in installs[0]
    assert "--no-build-isolation --editable ." in installs[1]


def test_versions_agree() -> None:
    number = PROJECT["project"]["version"]
    label = next(rest for word, rest in instructions() if word == "LABEL")
    assert f'image.version="{number}"' in label
    assert {service["image"] for service in OURS.values()} == {f"daogou:{number}"}
    base = next(rest for word, rest in instructions() if word == "ARG")
    assert base.startswith(f"PYTHON_IMAGE=python:{PROJECT['tool']['mypy']['python_version']}-")


def test_images_of_others_are_pinned_to_the_releases_that_are_embedded() -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name("temporal"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Server ([\d.]+), UI ([\d.]+)", told)
    assert found is not None, told
    server, ui = found.groups()
    postgres = version("embedded-postgres").split(".")[0]
    for name, service in SERVICES.items():
        repository, _, tag = service["image"].partition(":")
        wanted = {
            "temporalio/server": server,
            "temporalio/admin-tools": server,
            "temporalio/ui": ui,
            "postgres": f"{postgres}-bookworm",
            "daogou": tag,
        }
        assert tag == wanted[repository], name


def commands() -> Iterator[tuple[str, list[str]]]:
    for name, service in OURS.items():
        yield name, service["command"]
    for word, rest in instructions():
        if word in {"CMD", "HEALTHCHECK"}:
            yield word, yaml.safe_load(rest[rest.index("[") :])


def test_every_command_exists() -> None:
    seen = set()
    for name, words in commands():
        assert words[:2] == ["python", "-m"], name
        module, arguments = words[2], words[3:]
        spec = importlib.util.find_spec(module)
        assert spec is not None, name
        if spec.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{module}.__main__") is not None, f"{name}: python -m {module}"
        if module == "worker":
            assert arguments[0] in worker.main.commands, name
        seen.add((module, *arguments))
    assert seen == {("worker", "run"), ("worker", "migrate"), ("worker", "check"), ("api",)}


def test_every_variable_set_for_our_code_is_one_it_reads() -> None:
    files = ("settings", "edge_settings", "sign_in_settings")
    source = "".join((ROOT / "infra" / f"{name}.py").read_text(encoding="utf-8") for name in files)
    plain = set(re.findall(r'env\.get\("(\w+)"\)', source))
    secret = set(re.findall(r'(?:_database_url|read_secret)\(env, "(\w+)"\)', source))
    assert {"DATABASE_URL", "DATABASE_ADMIN_URL", "DATABASE_API_URL", "DAOGOU_KEYS_URL"} <= secret
    assert {"DAOGOU_API_HOST", "DAOGOU_TLS_CERT", "DAOGOU_OIDC_ISSUER"} <= plain
    known = plain | secret | {f"{name}_FILE" for name in secret}
    of_the_image = re.findall(
        r"(DAOGOU_\w+)=", " ".join(rest for word, rest in instructions() if word == "ENV")
    )
    assert set(of_the_image) <= known
    for name, service in [*OURS.items(), *TLS["services"].items()]:
        ours = {key for key in service["environment"] if not key.startswith("TEMPORAL_")}
        assert ours <= known, name


def test_the_sdk_reads_the_variables_set_for_temporal() -> None:
    for name in ("worker", "api"):
        told = {key: value for key, value in OURS[name]["environment"].items() if key.startswith("TEMPORAL_")}
        config = ClientConfig.load_client_connect_config(
            disable_file=True, override_env_vars={**told, "TEMPORAL_CONFIG_FILE": os.devnull}
        )
        assert config.get("target_host") == told["TEMPORAL_ADDRESS"] == "temporal:7233"
        assert config.get("namespace") == told["TEMPORAL_NAMESPACE"]
        assert set(told) == {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
    assert SERVICES["temporal-namespace"]["environment"]["TEMPORAL_NAMESPACE"] == config.get("namespace")


def test_the_secrets_drawn_are_those_the_services_read(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = subprocess.run([DOCKER / "make-secrets", folder], capture_output=True, text=True, check=True)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert {f"./secrets/{name}" for name in drawn} == {entry["file"] for entry in COMPOSE["secrets"].values()}
    assert folder.stat().st_mode & 0o777 == 0o700
    admin, running = make_url(drawn["database_admin_url"]), make_url(drawn["database_url"])
    api, keys = make_url(drawn["database_api_url"]), make_url(drawn["keys_url"])
    environment = SERVICES["ledger"]["environment"]
    assert admin.password == drawn["ledger_password"]
    assert (admin.username, admin.database) == (environment["POSTGRES_USER"], environment["POSTGRES_DB"])
    assert (running.username, running.database) == (WORKER, admin.database)
    assert (api.username, api.database) == (API, admin.database)
    assert admin.host == running.host == api.host == "ledger"
    environment = SERVICES["keys"]["environment"]
    assert (keys.username, keys.database) == (environment["POSTGRES_USER"], environment["POSTGRES_DB"])
    assert (keys.host, keys.password) == ("keys", drawn["keys_password"])
    passwords = {one.password for one in (admin, running, api, keys)} | {drawn["temporal_password"]}
    assert len(passwords) == 5
    assert all(text not in first.stdout for text in drawn.values())

    again = subprocess.run([DOCKER / "make-secrets", folder], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == drawn


def test_no_secret_stands_in_a_file_or_has_a_default() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    assert not re.search(r"\$\{\w+:?[-=]", text)
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if key.endswith("_FILE"):
                secret = Path(value)
                assert str(secret.parent) == "/run/secrets", f"{name}: {key}"
                assert secret.name in service["secrets"], f"{name}: {key}"
            else:
                assert not re.search(r"PASSWORD|PWD|SECRET|TOKEN|API_KEY|DATABASE.*URL", key), (
                    f"{name}: {key}"
                )
    for name in service_files():
        ignored = subprocess.run(["git", "check-ignore", "--quiet", name], cwd=DOCKER, check=False)
        assert ignored.returncode == 0, f"{name} could be committed"


def service_files() -> list[str]:
    return [entry["file"] for entry in COMPOSE["secrets"].values()]


def test_each_login_is_held_by_who_needs_it_only() -> None:
    holders = {
        secret: {name for name, service in SERVICES.items() if secret in service.get("secrets", [])}
        for secret in COMPOSE["secrets"]
    }
    assert holders == {
        "ledger_password": {"ledger"},
        "database_admin_url": {"migrate"},
        "database_url": {"migrate", "worker"},
        "database_api_url": {"migrate", "api"},
        "keys_password": {"keys"},
        "keys_url": {"worker", "api"},
        "temporal_password": {"temporal-store", "temporal-schema", "temporal"},
    }


def test_the_api_runs_as_its_own_login() -> None:
    told = SERVICES["api"]["environment"]
    assert told["DATABASE_URL_FILE"] == "/run/secrets/database_api_url"
    assert SERVICES["worker"]["environment"]["DATABASE_URL_FILE"] == "/run/secrets/database_url"


def test_the_api_is_published_only_with_a_certificate(tmp_path: Path) -> None:
    assert set(TLS["services"]) == {"api"}
    api = TLS["services"]["api"]
    assert api["ports"] == [f"{PORT}:{PORT}"]
    told = api["environment"]
    assert told["DAOGOU_PUBLIC_URL"] is None, "whoever starts it says it"
    for name, setting in (("tls_cert", "DAOGOU_TLS_CERT"), ("tls_key", "DAOGOU_TLS_KEY")):
        assert told[setting] == f"/run/secrets/{name}"
        assert name in api["secrets"]
        ignored = subprocess.run(
            ["git", "check-ignore", "--quiet", TLS["secrets"][name]["file"]], cwd=DOCKER, check=False
        )
        assert ignored.returncode == 0, f"{name} could be committed"
    cert, key = write_certificate(tmp_path, "shop.example")
    edge = read_edge({
        **{name: value for name, value in told.items() if value is not None},
        "DAOGOU_TLS_CERT": str(cert),
        "DAOGOU_TLS_KEY": str(key),
    })  # fmt: skip
    with pytest.raises(Refused) as refusal:
        refuse_unsafe(edge, edge.host)
    assert [one.code for one in refusal.value.problems] == ["public_url_missing"]
    refuse_unsafe(edge.model_copy(update={"public_url": "https://shop.example:8400"}), edge.host)


async def test_the_health_check_with_a_certificate_asks_what_is_served(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    cert, key = write_certificate(tmp_path, "shop.example")
    told = {"DAOGOU_TLS_CERT": str(cert), "DAOGOU_TLS_KEY": str(key)}
    *_, code = TLS["services"]["api"]["healthcheck"]["test"]
    with served(tmp_path, ledger_database.urls.api, "--port", "0", **told) as one:
        asked = code.replace("127.0.0.1:8400", one.url.partition("//")[2])
        for file, good in ((cert, True), (write_certificate(tmp_path, "another.example")[0], False)):
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", asked.replace("/run/secrets/tls_cert", str(file))],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert (done.returncode == 0) is good, done.stderr


async def test_the_namespace_is_made_once_on_a_server_that_serves(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as server:
        address = server.client.service_client.config.target_host
        told = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_NAMESPACE": "stores",
        }
        for _ in range(2):
            made = await asyncio.to_thread(
                subprocess.run,
                [*SERVICES["temporal-namespace"]["entrypoint"][:1], DOCKER / "temporal-namespace.sh"],
                env=told,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert made.returncode == 0, made.stderr
        client = await Client.connect(address, namespace="stores")
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="stores")
        )
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=7)


def test_ports_are_published_on_this_machine_only_and_the_api_on_none() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"temporal-ui": ["127.0.0.1:8233:8080"]}
    assert SERVICES["temporal-ui"]["environment"]["TEMPORAL_UI_PORT"] == "8080"
    assert not any("network_mode" in service for service in SERVICES.values())
    assert SERVICES["api"]["command"] == ["python", "-m", "api"], "its bind rule is not to be talked round"


def test_the_api_is_asked_for_its_health_where_it_listens() -> None:
    listens = {option.name: option.default for option in api_main.params}
    assert listens["port"] == PORT
    assert probe(PORT) == SERVICES["api"]["healthcheck"]["test"][1:]


def test_our_containers_can_neither_write_nor_gain_rights() -> None:
    user, group = next(rest for word, rest in last_stage() if word == "USER").split(":")
    home = next(re.search(r"DAOGOU_HOME=(\S+)", rest) for word, rest in last_stage() if word == "ENV")
    assert home is not None
    assert set(OURS) == {"migrate", "worker", "api"}
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["init"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        mounts = [mount for mount in service["tmpfs"] if mount.startswith(f"{home[1]}:")]
        assert len(mounts) == 1, name
        assert f"uid={user},gid={group}" in mounts[0], name


def test_a_worker_is_given_longer_than_it_drains() -> None:
    for name in ("worker", "api"):
        assert OURS[name]["stop_signal"] == "SIGTERM"
        seconds = int(OURS[name]["stop_grace_period"].removesuffix("s"))
        assert seconds > max(10.0, DRAIN.total_seconds()), name


def test_services_start_in_an_order_that_exists_and_limits_are_set() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"], f"{name} waits for {other}"
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"].startswith("on-failure"), f"{other} never completes"
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        if service["restart"] == "unless-stopped":
            assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (DOCKER / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"], (
                name
            )
    assert OURS["worker"]["deploy"]["replicas"] == 2


def test_no_command_of_compose_removes_the_ledger_or_the_keys() -> None:
    assert COMPOSE["volumes"]["ledger"]["external"] is True
    assert SERVICES["ledger"]["volumes"] == ["ledger:/var/lib/postgresql"]
    assert COMPOSE["volumes"]["keys"]["external"] is True
    assert SERVICES["keys"]["volumes"] == ["keys:/var/lib/postgresql"]
