"""`envmatrix impact`, on repositories with a history of one commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from envmatrix.__main__ import main
from envmatrix.commands.impact import CONTRACTS, find_impact
from envmatrix.contracts import RealLLM, RealServices
from envmatrix.environments import Project
from tests.framework.docs_pages import ROOT

LOCAL = """
[services.backend]
kind = "http"
source = "process"
command = ["{python}", "-m", "shop"]
env = { AUTH = "{auth.url}" }

[services.auth]
kind = "http"
source = "process"
command = ["{python}", "login.py"]

[services.mail]
kind = "http"
source = "process"
command = ["docker", "run", "${MAIL_IMAGE}"]
"""
STAGING = """
[services.backend]
kind = "http"
source = "remote"
url = "${SHOP_URL}"

[twin]
environment = "twins/staging.toml"

[twin.variables]
SHOP_URL = "{backend.url}"
"""
FILES = {
    "pyproject.toml": '[tool.envmatrix]\nsuites = ["suite"]\n[tool.pytest.ini_options]\ntestpaths = ["unit", "suite"]\naddopts = "--disable-plugin-autoload"\n',
    "environments/local.toml": LOCAL,
    "environments/staging.toml": STAGING,
    "environments/twins/staging.toml": '[services.backend]\nkind = "http"\nsource = "process"\ncommand = ["{python}", "-m", "shop"]\n',
    "environments/mail.toml": '[services.mail]\nkind = "http"\nsource = "absent"\n',
    "shop/__init__.py": "",
    "shop/__main__.py": "from shop import store\nstore.save()\n",
    "shop/store.py": "def save(): ...\n",
    "login.py": "x = 1\n",
    "suite/test_orders.py": """
import pytest

def test_order(real_services): ...

@pytest.mark.requires("auth")
def test_login(): ...

@pytest.mark.requires("mail")
def test_mail(): ...
""",
    "unit/test_store.py": "from shop.store import save\n\ndef test_save(): save()\n",
    "unit/test_words.py": "def test_words(): ...\n",
}


def git(root: Path, *words: str) -> None:
    """Call git."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=30)


def commit(root: Path) -> None:
    """Make a repository of a directory, and all in it one commit."""
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with three environments, committed; pytest's own source is in its cache already."""
    root = tmp_path_factory.mktemp("template")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    commit(root)
    find_impact(Project.find(root), "HEAD", None, None)
    return root


@pytest.fixture
def shop(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which we stand."""
    root = tmp_path / "shop"
    shutil.copytree(template, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("SHOP_URL", raising=False)
    return root


def call(*words: str) -> int:
    """Call the command line; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["impact", *words])
    return int(ended.value.code or 0)


def selected(capsys: pytest.CaptureFixture[str], *words: str) -> Mapping[str, Mapping[str, str]]:
    """What is selected since the last commit: environment → test → because; those without any left out."""
    assert call("--since", "HEAD", "--format", "json", *words) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    places = [*said["environments"], {"name": "", **said["no_environment"]}]
    return {
        place["name"]: {each["test"].rpartition("::")[2]: each["because"] for each in place["selected"]}
        for place in places
        if place["selected"]
    }


@pytest.mark.usefixtures("shop")
def test_nothing_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """No test is selected, and that is no failure."""
    assert selected(capsys) == {}


def test_a_services_code_names_tests_and_environments(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through what imports it, in each environment that starts that: staging by its twin."""
    (shop / "shop/store.py").write_text("def save(): return 1\n")
    found = selected(capsys)
    assert {name: set(tests) for name, tests in found.items()} == {
        "local": {"test_order", "test_mail"},
        "staging": {"test_order"},
        "": {"test_save"},
    }
    assert found["staging"]["test_order"] == (
        "save of shop/store.py is changed, used by shop/__main__.py, which the twin of staging starts as backend, "
        "and real_services needs every service"
    )
    assert found["local"]["test_mail"] == (
        "shop/store.py is changed, and what `docker run ${MAIL_IMAGE}` of local.toml runs as mail cannot be seen, "
        'and requires("mail") needs it'
    )


def test_a_remote_environment_runs_none_of_our_code(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its variables set staging is somebody else's deployment."""
    monkeypatch.setenv("SHOP_URL", "https://staging.example.com")
    (shop / "shop/store.py").write_text("def save(): return 1\n")
    assert "staging" not in selected(capsys)


def test_a_command_may_be_a_file(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`python login.py` begins with that file."""
    (shop / "login.py").write_text("x = 2\n")
    assert selected(capsys)["local"]["test_login"] == (
        'x of login.py is changed, which local.toml starts as auth, and requires("auth") needs it'
    )


def test_a_declaration_is_its_environments_own(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The twin's too; a service's keys are that service's."""
    (shop / "environments/twins/staging.toml").write_text(
        FILES["environments/twins/staging.toml"] + "required = true\n"
    )
    assert {name: set(tests) for name, tests in selected(capsys).items()} == {"staging": {"test_order"}}


def test_what_git_does_not_track_yet_counts(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new test is new before it is added; what git ignores is nothing."""
    (shop / ".gitignore").write_text("ignored/\n")
    (shop / "ignored").mkdir()
    (shop / "ignored/test_no.py").write_text("def test_no(): ...\n")
    (shop / "unit/test_new.py").write_text("def test_new(): ...\n")
    assert selected(capsys) == {"": {"test_new": "unit/test_new.py is new"}}


def test_one_kind_alone_is_looked_at(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The declaration, not the code."""
    (shop / "shop/store.py").write_text("def save(): return 1\n")
    (shop / "environments/mail.toml").write_text(FILES["environments/mail.toml"] + "[users]\nsignup='/a'\nlogin='/b'\n")
    assert set(selected(capsys, "--changes", "environments")) == {"mail"}


def test_each_format_says_why(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As text, as Markdown, as annotations."""
    (shop / "login.py").write_text("x = 2\n")
    for name, beginning in (("text", "since HEAD: "), ("markdown", "### since HEAD: "), ("github", "::notice title=")):
        assert call("--since", "HEAD", "--format", name) == 0
        out = capsys.readouterr().out
        assert out.startswith(beginning)
        assert "which local.toml starts as auth" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "nowhere"), "git knows no revision 'nowhere'"),
        (("--since", "--output=x"), "git knows no revision '--output=x'"),
        (("--since", "HEAD", "--changes", "cod"), "Did you mean 'code'?"),
        (("--since", "HEAD", "--format", "txt"), "Did you mean 'text'?"),
        ((), "Missing option '--since'"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_what_makes_no_sense_is_exit_2(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str) -> None:
    """With what to do instead."""
    assert call(*words) == 2
    assert said in capsys.readouterr().err


def test_a_change_outside_of_the_project_may_change_everything(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A project may be a part of a repository: what is beside it cannot be mapped."""
    shutil.rmtree(shop / ".git")
    (tmp_path / "lib.py").write_text("x = 1\n")
    commit(tmp_path)
    (tmp_path / "lib.py").write_text("x = 2\n")
    found = selected(capsys)
    assert found["mail"]["test_order"].startswith("x of ../lib.py is changed, and could not be mapped")


@pytest.mark.fault("malicious-conftest")
def test_nothing_of_the_project_is_run(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not its conftests, its plugins, its contract, its services."""
    bomb = f"import pathlib; pathlib.Path({os.fspath(shop)!r}, 'boom').touch()\n"
    for name in ("conftest.py", "suite/conftest.py", "shop/__init__.py", "contract.py", "sitecustomize.py"):
        (shop / name).write_text(bomb)
    (shop / "pyproject.toml").write_text(
        FILES["pyproject.toml"] + '[tool.envmatrix.contracts]\nreal_services = "contract:Mine"\n'
    )
    selected(capsys)
    assert not (shop / "boom").exists()


def test_a_reference_services_file_names_tests_and_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a copy of this repository, where nothing is started; reading a few hundred files takes a second or two."""
    for name in ("environments", "tests/e2e", "tests/framework/reference", "test_framework"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    commit(tmp_path)
    for variable in [name for name in os.environ if name.startswith("STAGING_")]:
        monkeypatch.delenv(variable)
    with (tmp_path / "environments/reference/backend/agents.py").open("a") as stream:
        stream.write("print()\n")
    found = find_impact(Project.find(tmp_path), "HEAD", None, None).impact
    assert found.everything == ()
    assert {name for name, tests in found.selected.items() if tests} == {"backend", "local", "staging", ""}
    agents = "tests/e2e/test_multi_user_concurrent_sessions.py::TestMultiUserConcurrentSessions::"
    for name, by in (("local", "local.toml"), ("backend", "backend.toml"), ("staging", "the twin of staging")):
        becauses = {", ".join(because) for test, because in found.selected[name].items() if test.startswith(agents)}
        (because,) = becauses
        assert because.startswith("environments/reference/backend/agents.py is changed, imported by environments/")
        assert because.endswith(f", which {by} starts as backend, and real_services needs every service")
        scripted = "test_framework/tests/test_real_llm.py::test_a_stand_in_says_so"
        assert scripted not in found.selected[name], "the model is another service"
    assert {test.partition("::")[0] for test in found.selected[""]} <= {
        path.relative_to(tmp_path).as_posix() for path in (tmp_path / "tests/framework/reference").glob("test_*.py")
    }


def test_the_shipped_contracts_are_where_impact_looks_for_them() -> None:
    """It reads them, and imports nothing of them."""
    ours = {"real_services": RealServices, "real_llm": RealLLM}
    assert {fixture: f"{each.__module__}:{each.__qualname__}" for fixture, each in ours.items()} == CONTRACTS


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
@pytest.mark.parametrize("format_", ["text", "json", "github", "markdown"])
@pytest.mark.fault("not-utf8")
def test_a_file_name_of_any_bytes_is_followed(shop: Path, capsys: pytest.CaptureFixture[str], format_: str) -> None:
    """A module, a test and a data file whose names are no UTF-8, and one with a line break: no traceback in any report."""
    for name in (b"caf\xe9.txt", b"caf\xe9.py", b"suite/test_caf\xe9.py", b"suite/two\nlines.dat"):
        (shop / os.fsdecode(name)).write_text("def test_x(): ...\n")
    assert call("--since", "HEAD", "--format", format_) == 0
    assert capsys.readouterr().err == ""
