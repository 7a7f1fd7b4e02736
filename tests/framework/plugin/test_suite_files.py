"""The files of a suite, and what becomes of a run under which they change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envmatrix.gate import Answer, Code, judge
from envmatrix.plugin.suite_files import changed_files, suite_files
from tests.framework.bare import BARE_TOML
from tests.framework.project import Project

CHANGING = """
    import pathlib, subprocess
    GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]

    def pytest_collection_modifyitems(items):
        if pathlib.Path("checkout-while-collecting").exists():
            subprocess.run([*GIT, "commit", "-qm", "other", "--allow-empty"], check=True)
"""


def git(root: Path, *words: str) -> str:
    """Call git."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@pytest.fixture
def checkout(project: Project) -> Project:
    """A project in a checkout, with an environment that has no services."""
    project.write("environments/tiny.toml", BARE_TOML)
    project.write("conftest.py", CHANGING)
    project.write("sub/test_a.py", "def test_a(): pass\n")
    project.write(".gitignore", "run.*\n__pycache__/\n.*\ncheckout-while-collecting\nstd*\n")
    git(project.root, "init", "-q")
    git(project.root, "add", "-A")
    git(project.root, "commit", "-qm", "all")
    return project


def mixed(project: Project) -> bool:
    """Whether the verdict on the run says that it is mixed."""
    verdict = judge(project.run)
    is_mixed = any(reason.code is Code.MIXED for reason in verdict.reasons)
    assert verdict.answer is (Answer.UNKNOWN if is_mixed else Answer.COMPATIBLE)
    return is_mixed


def test_the_header_has_the_digests_of_what_ran(checkout: Project) -> None:
    """Test modules, conftests above them, the declaration, the settings; a quiet run is of one version of them."""
    checkout.pytest()
    run = checkout.run
    assert list(run.header.files) == ["conftest.py", "environments/tiny.toml", "pyproject.toml", "sub/test_a.py"]
    assert (run.header.commit, run.header.dirty) == (git(checkout.root, "rev-parse", "HEAD"), False)
    assert not mixed(checkout)


@pytest.mark.fault("checkout-under-run")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_file_that_changes_under_a_run_makes_it_mixed(checkout: Project, workers: str) -> None:
    """An edited module, or a conftest that came: what ran is neither the old nor the new version."""
    test = "import pathlib\ndef test_b(): pathlib.Path('sub/conftest.py').write_text('')\n"
    checkout.write("sub/test_b.py", test)
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-qm", "b")
    checkout.pytest("-n", workers)
    assert checkout.run.footer is not None
    assert checkout.run.footer.changed == ("sub/conftest.py",)
    assert mixed(checkout)


@pytest.mark.fault("checkout-under-run")
@pytest.mark.parametrize(
    ("how", "options"),
    [("assert False", ("-x",)), ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", ()), ("pass", ())],
)
def test_a_module_of_the_product_that_was_edited_makes_a_run_mixed(
    checkout: Project, how: str, options: tuple[str, ...]
) -> None:
    """It is none of the suite's files, and no commit tells; a run that ends early is compared, too."""
    checkout.write("product.py", "ANSWER = 1\n")
    test = f"import pathlib\ndef test_b():\n    pathlib.Path('product.py').write_text('ANSWER = 2')\n    {how}\n"
    checkout.write("sub/test_b.py", test)
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-qm", "b")
    checkout.pytest(*options)
    assert checkout.run.footer is not None
    assert checkout.run.footer.changed == ("product.py",)
    assert any(reason.code is Code.MIXED for reason in judge(checkout.run).reasons)


@pytest.mark.fault("checkout-under-run")
@pytest.mark.parametrize("moment", ["before the header", "after it"])
def test_a_checkout_under_a_run_makes_it_mixed(checkout: Project, moment: str) -> None:
    """Before the header, some modules are of the one commit and some of the other; later, what is imported late is."""
    first = git(checkout.root, "rev-parse", "HEAD")
    if moment == "before the header":
        checkout.write("checkout-while-collecting", "")
    else:
        checkout.write("sub/test_b.py", "import conftest\ndef test_b():\n    conftest.subprocess.run(\n"
                       "        [*conftest.GIT, 'commit', '-qm', 'b', '--allow-empty'], check=True)\n")  # fmt: skip
        git(checkout.root, "add", "-A")
        git(checkout.root, "commit", "-qm", "test", "--amend")
        first = git(checkout.root, "rev-parse", "HEAD")
    checkout.pytest()
    assert checkout.run.footer is not None
    assert checkout.run.footer.commits == (first, git(checkout.root, "rev-parse", "HEAD"))
    assert mixed(checkout)


def test_files_that_are_none_have_no_digest(tmp_path: Path) -> None:
    """A node id of a custom collector may name anything; a module outside of the root brings its own conftest alone."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for name in ("root/sub/test_a.py", "test_b.py", "conftest.py"):
        (tmp_path / name).write_text(name)
    before = suite_files(
        root, ["sub/test_a.py::test_a", "sub::page", "../test_b.py::test_b[x]"], [tmp_path / "none.toml"]
    )
    assert list(before) == ["../conftest.py", "../test_b.py", "sub/test_a.py"]
    assert changed_files(before, {"sub/test_a.py": before["sub/test_a.py"], "new": "1"}) == (
        "../conftest.py",
        "../test_b.py",
        "new",
    )
