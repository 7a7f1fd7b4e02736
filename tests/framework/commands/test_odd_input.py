"""Whatever a file holds that a command reads: the command ends at once, with a result or one line on standard error."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envmatrix.__main__ import main
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.environments import Project, load_environment
from envmatrix.environments.load import process_variables
from envmatrix.exceptions import EnvmatrixError
from envmatrix.gate.baseline import read_baseline
from envmatrix.gate.waivers import read_waivers
from envmatrix.runs.directory import read_manifest
from envmatrix.runs.events import Attempt
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.reused import read_list
from tests.framework.bare import Bare
from tests.framework.run_files import write_run

MANY = 200_000
CONTENTS = {
    "binary": b"\xff\xfe\x00" * 100,
    "nul": b"\0" * 100,
    "deep lists": b"a = " + b"[" * MANY,
    "deep tables": b"a = " + b"{a = " * 50_000,
    "deep JSON": b"[" * MANY,
    "many digits": b"a = " + b"1" * 5_000,
    "many digits in JSON": b'{"a": ' + b"1" * 5_000 + b"}",
    "many parts of a key": b"a." * MANY + b"a = 1",
    "many keys": b"".join(b"a.k%d = 1\n" % number for number in range(MANY)),
    "many headers": b"".join(b"[a%d]\n" % number for number in range(MANY)),
}
READERS = {
    "pyproject.toml": ["plan", "show r.jsonl", "audit", "fixtures", "gate r.jsonl", "impact --since HEAD"],
    "environments/local.toml": [
        "matrix local",
        "validate local",
        "validate local --fix",
        "audit",
        "impact --since HEAD",
    ],
    "x.jsonl": [
        "show x.jsonl",
        "merge x.jsonl --output out",
        "explain local a.py::a x.jsonl",
        "gate x.jsonl",
        "compare x.jsonl r.jsonl",
        "baseline update x.jsonl",
        "waivers update x.jsonl",
    ],
    "dir/matrix.json": ["show dir", "merge dir --output out"],
    "envmatrix-baseline.json": ["gate r.jsonl", "baseline update r.jsonl"],
    "envmatrix-waivers.toml": ["gate r.jsonl", "waivers update r.jsonl"],
    ".envmatrix-audit.json": ["audit"],
    "some.env": ["matrix local --env-file some.env"],
    "x.sqlite": ["history --history x.sqlite"],
    "x.zip": ["merge x.zip --output out"],
    "x.tar.gz": ["merge x.tar.gz --output out"],
    "suite/test_a.py": ["audit", "fixtures", "impact --since HEAD"],
    "suite/conftest.py": ["audit", "fixtures", "impact --since HEAD"],
    "setup.cfg": ["audit"],
    "requirements.txt": ["audit"],
}
KINDS = [*CONTENTS, "a pipe", "a device", "a huge file", "a cycle of links"]


def put(path: Path, kind: str) -> None:
    """Put something odd in a file's place."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if kind in CONTENTS:
        path.write_bytes(CONTENTS[kind])
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a huge file":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        path.symlink_to({"a device": "/dev/zero", "a cycle of links": path.name}[kind])


@pytest.mark.timeout(30)
@pytest.mark.fault("not-utf8", "binary-toml", "huge-file")
@pytest.mark.parametrize(
    ("file", "kind"),
    # As Python, many keys are a file of 200,000 statements: it is read, and takes its time.
    [(file, kind) for file in READERS for kind in KINDS if not (file.endswith(".py") and kind.startswith("many "))],
)
def test_an_odd_file_is_a_result_or_one_line(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, kind: str
) -> None:
    """Exit codes stay ours, no traceback is shown, and nothing takes long; each file by every command that reads it."""
    monkeypatch.chdir(bare.root)
    write_run(bare.root / "r.jsonl", Attempt("suite/test_a.py::test_a", Outcome.PASSED))
    if any(command.startswith("impact") for command in READERS[file]):
        git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com")
        for words in ("init -q", "add -A", "commit -qm first"):
            subprocess.run([*git, *words.split()], check=True, timeout=30)
    put(bare.root / file, kind)
    for command in READERS[file]:
        with pytest.raises(SystemExit) as ended:
            main(command.split())
        assert ended.value.code in {0, 1, 2, 3}, command
        errors = capsys.readouterr().err.splitlines()
        assert len([line for line in errors if re.match("error: ", line)]) <= 1, (command, errors)
        if ended.value.code == 2:
            assert len(errors) == 1, (command, errors)


@pytest.mark.fault("not-utf8", "empty-file", "binary-toml")
@settings(deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="ignore")))
def test_any_content_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Each reader returns, or raises an error of ours in one line."""
    directory = tmp_path_factory.getbasetemp() / "any"
    directory.mkdir(exist_ok=True)
    for name in ("pyproject.toml", "local.toml"):
        (directory / name).write_bytes(content)
    file = directory / "local.toml"
    for read in (
        lambda: Project.find(directory),
        lambda: load_environment("local", directory, variables={}),
        lambda: process_variables(file),
        lambda: read_baseline(file),
        lambda: read_waivers(file),
        lambda: read_manifest(file),
        lambda: read_run(file),
        lambda: read_list(file),
        lambda: AuditBaseline.read(file),
    ):
        try:
            read()
        except EnvmatrixError as error:
            assert "\n" not in str(error)  # noqa: PT017  either is right
