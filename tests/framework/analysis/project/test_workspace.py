"""Which distributions a project is installed with."""

from pathlib import Path

import pytest

from envmatrix.analysis.audit.audit import audit
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.analysis.index.build import index_of
from envmatrix.analysis.project.workspace import siblings


@pytest.fixture
def member(tmp_path: Path) -> Path:
    """Return a member of a workspace whose tests import fixtures of a sibling."""
    app, core = tmp_path / "packages/app", tmp_path / "packages/core"
    for directory in (app, core / "src/core_lib"):
        directory.mkdir(parents=True)
    _workspace(tmp_path, '["packages/*"]')
    (app / "pyproject.toml").write_text("[project]\nname = 'app'\n[tool.uv.sources]\ncore = { workspace = true }\n")
    (core / "pyproject.toml").write_text("[project]\nname = 'core'\n")
    (core / "src/core_lib/testing.py").write_text("import pytest\n@pytest.fixture\ndef core_thing(): return 1\n")
    (app / "conftest.py").write_text("from core_lib.testing import core_thing\n")
    (app / "test_a.py").write_text("def test_a(core_thing): ...\ndef test_b(gone): ...\n")
    return app


def _workspace(root: Path, members: str) -> None:
    (root / "pyproject.toml").write_text(f"[tool.uv.workspace]\nmembers = {members}\n")


@pytest.mark.parametrize(
    ("members", "unknown"), [('["packages/*"]', 0), ('["packages/app"]', 1), ('["/packages", "", 1]', 1)]
)
def test_a_member_that_is_audited_alone_finds_its_siblings(member: Path, members: str, unknown: int) -> None:
    """Their fixtures are known, and what nobody provides is missing; a package that is no member is not read."""
    _workspace(member.parents[1], members)
    found = audit(index_of(member), RuleSelection(), AuditBaseline.empty())
    assert len(found.unknown) == unknown
    assert [each.code for each in found.findings] == ["EM101"]


@pytest.mark.parametrize(
    "declared",
    [
        "[tool.uv.sources]\nlib = { path = '../../lib', editable = true }\nother = { git = 'https://a.test' }\n",
        "[tool.poetry.dependencies]\npython = '^3.11'\nlib = { path = '../../lib', develop = true }\n",
        "[tool.poetry.group.dev.dependencies]\nlib = { path = '../../lib' }\ngone = { path = '../gone' }\n",
    ],
)
def test_a_path_dependency_is_a_sibling(member: Path, declared: str) -> None:
    """Also outside of any workspace; one that is not there is none."""
    root = member.parents[1]
    (root / "pyproject.toml").unlink()
    (root / "lib").mkdir()
    (member / "pyproject.toml").write_text(declared)
    assert siblings(member) == (str(root / "lib"),)
