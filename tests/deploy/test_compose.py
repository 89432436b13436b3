"""Compose file, image and unit, as far as they can be checked without a Docker engine or systemd."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRETS = {"DISCOVER_TOKEN": "x" * 16, "MONGO_PASSWORD": "m", "POSTGRES_PASSWORD": "p"}
KEYS = {
    "build", "command", "depends_on", "environment", "healthcheck", "image", "init", "networks", "ports",
    "restart", "stop_grace_period", "volumes",
}  # fmt: skip
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def interpolated(text: str, variables: dict[str, str]) -> str:
    """As compose does it; KeyError for a variable that must be set."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        return variables[name] if kind != ":-" else variables.get(name, default)

    return VARIABLE.sub(value, text)


def test_docker_compose_takes_it() -> None:
    client = shutil.which("docker")
    command = [str(client), "compose", "version"]
    if client is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(
            "there is no docker compose here: the structure is checked by the other tests alone"
        )
    subprocess.run(
        [client, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet"],
        env={**os.environ, **SECRETS},
        check=True,
    )


def test_everything_that_is_named_exists(compose: dict[str, Any], services: dict[str, Any]) -> None:
    assert set(services) == {"mongodb", "postgres", "prefect", "worker", "page"}
    for name, service in services.items():
        assert set(service) <= KEYS, name
        assert "image" in service
        assert set(service["networks"]) <= set(compose["networks"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in services[other]
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_nothing_starts_without_its_secrets() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    interpolated(text, SECRETS)
    required = {name for name, kind, _ in VARIABLE.findall(text) if kind == ":?"}
    assert required == set(SECRETS)
    optional = {name for name, kind, _ in VARIABLE.findall(text) if kind == ":-"}
    bare = {name for name, kind, _ in VARIABLE.findall(text) if not kind}
    assert bare <= required
    assert optional.isdisjoint(required)


def test_nothing_is_published_beyond_loopback_unasked_and_nothing_without_a_token(
    services: dict[str, Any],
) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"prefect", "page"}
    for ports in published.values():
        for port in ports:
            assert interpolated(port, {}).startswith("127.0.0.1:")
    assert "DISCOVER_TOKEN" in services["page"]["environment"]
    assert (
        "${DISCOVER_TOKEN}" in services["prefect"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    )
    assert "MONGO_INITDB_ROOT_PASSWORD" in services["mongodb"]["environment"]
    assert "POSTGRES_PASSWORD" in services["postgres"]["environment"]
    assert all("network_mode" not in service for service in services.values())


def test_those_who_ask_use_the_passwords_of_those_who_answer(services: dict[str, Any]) -> None:
    prefect = services["prefect"]["environment"]
    for name in ("worker", "page"):
        own = services[name]["environment"]
        assert own["PREFECT_API_AUTH_STRING"] == prefect["PREFECT_SERVER_API_AUTH_STRING"]
        assert own["PREFECT_API_URL"] == "http://prefect:4200/api"
        store = interpolated(own["DISCOVER_STORE"], SECRETS)
        assert store == "mongodb://discover:m@mongodb:27017/discover?authSource=admin"
    address = interpolated(prefect["PREFECT_API_DATABASE_CONNECTION_URL"], SECRETS)
    assert address == "postgresql+asyncpg://prefect:p@postgres:5432/prefect"


def test_the_commands_are_ours(services: dict[str, Any]) -> None:
    for name in ("worker", "page"):
        python, flag, module, *_ = services[name]["command"]
        assert (python, flag) == ("python", "-m")
        assert importlib.util.find_spec(module) is not None


def test_the_image_follows_the_usual_rules() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    joined = re.sub(r"\\\n", " ", text)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    words = {line.split()[0] for line in lines}
    assert words <= {
        "FROM", "ARG", "SHELL", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    (base,) = (line for line in lines if line.startswith("FROM"))
    assert ":" in base  # DL3006: a tag
    assert "latest" not in base  # DL3007
    assert [line for line in lines if line.startswith("USER")][-1] != "USER root"  # DL3002
    for line in lines:
        if "apt-get install" in line:
            assert "-y" in line  # DL3014
            assert "--no-install-recommends" in line  # DL3015
            assert "rm -rf /var/lib/apt/lists" in line  # DL3009
        if "pip install" in line:
            assert line.count("pip install") == line.count("--no-cache-dir")  # DL3042
        if line.startswith(("ENTRYPOINT", "CMD")):
            assert line.partition(" ")[2].startswith("[")  # DL3025: as a list
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "**"
    assert all((ROOT / line[1:]).exists() for line in ignored if line.startswith("!"))


def test_the_unit() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "discover.service").read_text())
    service = unit["Service"]
    assert service["ExecStart"].endswith("discover up --foreground")
    assert service["ExecStop"].endswith("discover down")
    assert service["KillMode"] == "process"  # jobs outlive the service
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        done = subprocess.run(
            [analyze, "verify", "--user", DEPLOY / "discover.service"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Unknown" not in done.stderr
