"""The manifests for Kubernetes: what they say, and that their own commands, run here pod by pod, come to a verdict."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.framework.bare import BARE_TOML, plain_environment

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENTS = [
    document for file in ("shards.yaml", "gate.yaml") for document in yaml.safe_load_all((DEPLOY / file).read_text())
]
CLAIM, SHARDS, GATE = DOCUMENTS
INDEX = "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def pod(job: dict[str, Any]) -> dict[str, Any]:
    """A Job's pod."""
    return job["spec"]["template"]["spec"]


def containers() -> Iterator[dict[str, Any]]:
    """Return every container of every pod."""
    for job in (SHARDS, GATE):
        yield from (*pod(job).get("initContainers", ()), *pod(job)["containers"])


def variables(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A container's variables by name."""
    return {entry["name"]: entry for entry in container["env"]}


def test_there_is_a_pod_for_each_shard() -> None:
    """As many completions at once as shards; the index tells which, and a red one stops no other."""
    spec = SHARDS["spec"]
    (run,) = pod(SHARDS)["containers"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == int(variables(run)["MATRIX_SHARDS"]["value"])
    assert spec["backoffLimitPerIndex"] == 0
    assert pod(SHARDS)["restartPolicy"] == "Never"  # as that needs
    assert variables(run)["JOB_COMPLETION_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"] == INDEX
    assert all("activeDeadlineSeconds" in job["spec"] for job in (SHARDS, GATE))


def test_each_pod_leaves_its_runs_where_the_gate_finds_them() -> None:
    """A shard writes below its index, into a directory that was emptied first; the gate reads all of them."""
    (clean,), (run,), (gate,) = pod(SHARDS)["initContainers"], pod(SHARDS)["containers"], pod(GATE)["containers"]
    mount = run["volumeMounts"][0]
    assert mount == clean["volumeMounts"][0]
    assert mount["mountPath"] == f"{run['workingDir']}/.envmatrix"
    assert mount["subPathExpr"] == "shards/$(JOB_COMPLETION_INDEX)"
    assert f"{gate['volumeMounts'][0]['mountPath']}/shards " in gate["command"][-1]
    for job in (SHARDS, GATE):
        claimed = [volume["persistentVolumeClaim"]["claimName"] for volume in pod(job)["volumes"][:1]]
        assert claimed == [CLAIM["metadata"]["name"]]


def test_pods_are_restricted_and_bounded() -> None:
    """They pass the restricted Pod Security Standard, know no API token, and say what they need and may take."""
    for job in (SHARDS, GATE):
        assert pod(job)["automountServiceAccountToken"] is False
        assert pod(job)["securityContext"]["runAsNonRoot"] is True
        assert pod(job)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == container["resources"]["requests"].keys() == container["resources"]["limits"].keys()


def test_no_secret_stands_in_a_manifest() -> None:
    """Only the pods that test get the Secret, by reference; what is written out is no more than a name or a number."""
    (run,) = pod(SHARDS)["containers"]
    assert run["envFrom"] == [{"secretRef": {"name": "envmatrix-staging"}}]
    assert [container["name"] for container in containers() if "envFrom" in container] == ["run"]
    written = {entry["value"] for container in containers() for entry in container["env"] if "value" in entry}
    assert written == {"4", "/tmp"}


class Cluster:
    """Runs the manifests' own commands here: a directory is the volume, a copy of the project each pod's image."""

    def __init__(self, root: Path, project: Path) -> None:
        self.root, self.project, self.volume = root, project, root / "volume"
        shim = root / "bin/envmatrix"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m envmatrix "$@"\n')
        shim.chmod(0o755)

    def shards(self) -> list[int]:
        """Run each pod of the first Job, all at once; return their exit codes."""
        processes = []
        for index in range(SHARDS["spec"]["completions"]):
            app = Path(shutil.copytree(self.project, self.root / f"pod-{index}"))
            mounted = self.volume / "shards" / str(index)
            mounted.mkdir(parents=True)
            (mounted / "left.jsonl").write_text("by an earlier try")
            (app / ".envmatrix").symlink_to(mounted)
            known = {"JOB_COMPLETION_INDEX": str(index), "MATRIX_SHARDS": "4"}
            (clean,) = pod(SHARDS)["initContainers"]
            subprocess.run([self._here(word, app) for word in clean["command"]], check=True, timeout=10)
            (run,) = pod(SHARDS)["containers"]
            processes.append(self._start(run["command"], app, known))
        return [process.wait(60) for process in processes]

    def gate(self) -> tuple[int, str]:
        """Run the pod of the second Job; return its exit code and what it says."""
        (gate,) = pod(GATE)["containers"]
        shutil.rmtree(self.root / "tmp", ignore_errors=True)
        (self.root / "tmp").mkdir()
        code = self._start(gate["command"], self.project, {}).wait(60)
        return code, self.project.with_suffix(".log").read_text()

    def _here(self, word: str, app: Path) -> str:
        places = {"/app": app, "/runs": self.volume, "/tmp": self.root / "tmp"}
        return re.sub(r"(?<![\w.-])/(?:app|runs|tmp)\b", lambda found: str(places[found[0]]), word) + (
            "/" if word == "/app/.envmatrix" else ""  # a link, where a pod has a mount
        )

    def _start(self, command: list[str], app: Path, known: dict[str, str]) -> subprocess.Popen[bytes]:
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with app.with_suffix(".log").open("wb") as log:
            return subprocess.Popen(
                [self._here(word, app) for word in command],
                cwd=app,
                env={**plain_environment(), **known, "PATH": path},
                stdout=log,
                stderr=log,
            )


@pytest.mark.fault("missing-shard")
def test_the_pods_come_to_a_verdict(tmp_path: Path) -> None:
    """Four shards and the gate: open when all are there, unknown when one is lost."""
    project = tmp_path / "project"
    (project / "environments").mkdir(parents=True)
    (project / "environments/staging.toml").write_text(BARE_TOML)
    (project / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '-p no:valkey -p no:hypothesispytest'\n"
    )
    lines = "".join(f"def test_{name}(): pass\n" for name in "abcdefgh")
    (project / "test_a.py").write_text(lines)
    (project / ".gitignore").write_text("/.envmatrix\n__pycache__/\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words)
        subprocess.run(git, cwd=project, check=True, timeout=30)
    cluster = Cluster(tmp_path, project)
    assert cluster.shards() == [0, 0, 0, 0]
    code, said = cluster.gate()
    assert code == 0, said
    shutil.rmtree(cluster.volume / "shards/2")
    code, said = cluster.gate()
    assert code == 3, said
    assert "3/4" in said
