"""The files for deploying fit the program: ports, settings, commands, probes and times are those of the code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
import yaml

from api.cli import app
from api.ops.routes import routes
from api.server import TIME_TO_CLOSE
from config.models.models_file import load_models
from config.profile.agent_file import load_agent
from config.settings import load_settings, unknown_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
KUBERNETES = ROOT / "deploy/kubernetes"
NGINX = ROOT / "deploy/nginx"
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEPLOYED = [
    ROOT / "Dockerfile",
    ROOT / "compose.yaml",
    *(each for each in (ROOT / "deploy").rglob("*") if each.is_file()),
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PROBES = {route.path for route in routes.routes}  # type: ignore[attr-defined]
END = load_settings(env_file=None).drain_time + TIME_TO_CLOSE
"""Seconds after SIGTERM by which a server has ended."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text("utf-8"))
    return loaded


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = manifest(name)["spec"]["template"]["spec"]
    return spec


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text.removesuffix("s"))


@pytest.mark.parametrize("file", DEPLOYED, ids=name_of)
def test_every_variable_is_a_setting(file: Path) -> None:
    names = re.findall(r"\bSWITCHBOARD_\w+", file.read_text("utf-8"))
    assert unknown_settings(dict.fromkeys(names, "x")) == ()


# The image


def test_the_image_listens_where_its_port_and_its_health_check_say() -> None:
    assert instructions("EXPOSE") == ["8000"]
    (environment,) = instructions("ENV")
    assert "SWITCHBOARD_PORT=8000" in environment and "SWITCHBOARD_HOST=0.0.0.0" in environment
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python" and "/health/ready" in command[2] and "/health/ready" in PROBES
    compile(command[2], "HEALTHCHECK", "exec")


def test_the_image_runs_a_command_that_exists_as_a_user_without_rights() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert instructions("ENTRYPOINT") == ['["switchboard"]'] and "switchboard" in scripts
    assert json.loads(instructions("CMD")[-1])[0] in COMMANDS
    assert instructions("USER") == ["10001"] and "--uid 10001" in DOCKERFILE


def test_only_what_the_image_needs_gets_into_it() -> None:
    assert IGNORED[1] == "*" and "**/.env" in IGNORED
    allowed = {each.removeprefix("!") for each in IGNORED if each.startswith("!")}
    copied = {each for line in instructions("COPY") if "--from" not in line for each in line.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / each).exists() for each in copied)
    assert not [each for each in copied if each.endswith(".env") or each in ("data", ".git")]
    assert not re.findall(r"(?:TOKEN|KEY|PASSWORD|SECRET)\S*=", DOCKERFILE)


# Compose


def test_the_services_run_commands_that_exist_on_ports_that_nginx_knows() -> None:
    services = COMPOSE["services"]
    servers = {name for name, each in services.items() if each.get("image") == "switchboard" and "command" not in each}
    assert len(servers) == 2
    assert services["worker"]["command"] in COMMANDS and services["worker"]["healthcheck"] == {"disable": True}
    upstream = COMPOSE["configs"]["upstream"]["content"]
    assert set(re.findall(r"server (\S+) max_fails=0;", upstream)) == {f"{each}:8000" for each in servers}
    for each in (*servers, "worker"):
        assert services[each]["environment"]["SWITCHBOARD_PORT"] == "8000"
        assert services[each]["environment"]["SWITCHBOARD_TASK_QUEUE"] == "celery"
        assert seconds(services[each]["stop_grace_period"]) > END


def test_what_compose_mounts_exists() -> None:
    mounts = [each.split(":") for service in COMPOSE["services"].values() for each in service.get("volumes", ())]
    for source, *_ in mounts:
        assert (ROOT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]


# Kubernetes


def test_the_manifests_belong_together() -> None:
    resources = manifest("kustomization")["resources"]
    assert {*resources, "kustomization.yaml"} == {each.name for each in KUBERNETES.iterdir()}
    labels = manifest("deployment")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        manifest("deployment")["spec"]["selector"]["matchLabels"],
        manifest("service")["spec"]["selector"],
        manifest("disruption-budget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    assert manifest("autoscaler")["spec"]["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]
    assert manifest("worker")["spec"]["selector"]["matchLabels"] != labels
    assert manifest("service")["spec"]["ports"][0]["targetPort"] == "http"


def test_a_pod_is_probed_where_the_server_answers_and_has_time_to_end() -> None:
    container = pod("deployment")["containers"][0]
    assert container["ports"] == [{"name": "http", "containerPort": 8000}]
    paths = [container[each]["httpGet"]["path"] for each in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert paths == ["/health/live", "/health/ready", "/health/live"] and set(paths) <= PROBES
    before = float(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert pod("deployment")["terminationGracePeriodSeconds"] > before + END
    assert pod("worker")["terminationGracePeriodSeconds"] > END


@pytest.mark.parametrize("name", ["deployment", "worker"])
def test_a_pod_runs_a_command_that_exists_without_rights(name: str) -> None:
    spec = pod(name)
    (container,) = spec["containers"]
    assert container["args"][0] in COMMANDS
    assert spec["securityContext"]["runAsUser"] == 10001 and spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert spec["enableServiceLinks"] is False
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounted.keys() == {each["name"] for each in spec["volumes"]}
    files = {each["value"] for each in container["env"] if each["name"].endswith("_FILE")}
    assert files == {f"{mounted['configuration']}/{each}" for each in manifest("configmap")["data"]}


def test_the_config_map_is_valid(tmp_path: Path) -> None:
    for name, text in manifest("configmap")["data"].items():
        (tmp_path / name).write_text(text)
    registry = load_models(tmp_path / "models.yaml", {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"})
    assert registry.default_group() == "assistant" and registry.warnings == ()
    assert load_agent(tmp_path / "agent.yaml").system_prompt


# systemd, nginx, GitHub


@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_a_unit_runs_a_command_that_exists_and_gives_it_time_to_end(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text("utf-8")
    (program, command) = re.findall(r"^ExecStart=(\S+) (\w+)$", text, re.MULTILINE)[0]
    assert program.endswith("/switchboard") and command in COMMANDS
    assert float(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0]) > END
    if analyze := shutil.which("systemd-analyze"):
        copy = tmp_path / unit.name
        copy.write_text(text.replace(program, sys.executable))
        verified = subprocess.run([analyze, "verify", copy], capture_output=True, text=True)
        assert (verified.returncode, verified.stderr) == (0, "")


def test_nginx_passes_streams_on_at_once() -> None:
    text = (NGINX / "switchboard.conf").read_text("utf-8")
    upgrade = "proxy_set_header Connection $connection_upgrade;"
    for line in (
        "proxy_buffering off;",
        "gzip off;",
        "proxy_http_version 1.1;",
        "proxy_pass http://switchboard;",
        upgrade,
    ):
        assert line in text
    size = int(re.findall(r"client_max_body_size (\d+)m;", text)[0]) * 1024 * 1024
    assert size > load_settings(env_file=None).max_body_bytes


@pytest.mark.parametrize(
    "upstream", [(NGINX / "upstream.conf").read_text("utf-8"), COMPOSE["configs"]["upstream"]["content"]]
)
def test_nginx_uses_every_server_that_answers_and_no_connection_that_is_being_closed(upstream: str) -> None:
    servers = re.findall(r"^ *server .*", upstream, re.MULTILINE)
    assert len(servers) == 2 and all(each.endswith(" max_fails=0;") for each in servers)
    (idle,) = re.findall(r"keepalive_timeout (\d+)s;", upstream)
    assert int(idle) < uvicorn.Config("app").timeout_keep_alive


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
@pytest.mark.parametrize("upstream", ["deploy", "compose"])
def test_nginx_accepts_its_files(upstream: str, tmp_path: Path) -> None:
    shutil.copy(NGINX / "switchboard.conf", tmp_path / "switchboard.conf")
    named = (NGINX / "upstream.conf").read_text("utf-8")
    if upstream == "compose":
        named = re.sub(r"server\d:", "127.0.0.1:", COMPOSE["configs"]["upstream"]["content"])
    (tmp_path / "upstream.conf").write_text(named)
    main = f"pid {tmp_path}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; include {tmp_path}/*.conf; }}"
    (tmp_path / "main").write_text(main)
    tested = subprocess.run(
        ["nginx", "-t", "-p", tmp_path, "-c", tmp_path / "main"],
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name_of)
def test_a_workflow_has_jobs_with_a_time_limit_and_few_rights(workflow: Path) -> None:
    loaded = yaml.load(workflow.read_text("utf-8"), Loader=yaml.BaseLoader)  # `on` is a boolean in YAML 1.1
    assert loaded["on"] and loaded["permissions"] == {"contents": "read"}
    for job in loaded["jobs"].values():
        assert job["timeout-minutes"] and all("uses" in step or "run" in step for step in job["steps"])


def test_ci_runs_what_a_developer_runs() -> None:
    assert "- run: .ci/run\n" in (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    assert os.access(ROOT / ".ci/run", os.X_OK)
