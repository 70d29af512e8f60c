"""nginx in front of the servers, with the files of `deploy/nginx`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import free_port, run_process
from bench.servers import ROOT

FILES = ROOT / "deploy/nginx"

_MAIN = """{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/*.conf;
}}
"""


def has_nginx() -> bool:
    return shutil.which("nginx") is not None


@asynccontextmanager
async def nginx(folder: Path, ports: Sequence[int]) -> AsyncIterator[str]:
    """Run nginx in front of the servers on `ports`; yield its URL. Raises BenchError if it does not start."""
    port = free_port()
    folder.mkdir()
    server = (FILES / "switchboard.conf").read_text("utf-8").replace("listen 80;", f"listen 127.0.0.1:{port};")
    (folder / "switchboard.conf").write_text(server)
    (folder / "upstream.conf").write_text(upstream(ports))
    (folder / "main").write_text(_MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    command = ["nginx", "-e", f"{folder}/nginx-error.log", "-p", str(folder), "-c", str(folder / "main")]
    environment = {"PATH": os.environ["PATH"]}
    async with run_process(command, env=environment, cwd=folder, cores=frozenset(), port=port, health="/health/live"):
        yield f"http://127.0.0.1:{port}"


def upstream(ports: Sequence[int]) -> str:
    """The shipped upstream.conf with these servers."""
    shipped = (FILES / "upstream.conf").read_text("utf-8")
    (line, *_) = re.findall(r"^ +server .*\n", shipped, re.MULTILINE)
    servers = "".join(re.sub(r"server \S+?(?=[ ;])", f"server 127.0.0.1:{port}", line) for port in ports)
    return re.sub(r"(?:^ +server .*\n)+", servers, shipped, flags=re.MULTILINE)
