"""Which file a name of a module stands for."""

from pathlib import Path

import pytest

from envmatrix.analysis.project.installed import Site
from envmatrix.analysis.project.modules import ModuleFinder
from envmatrix.analysis.project.tree import ProjectTree

_FILES = """
    conftest.py  helpers.py  src/app/__init__.py  src/app/testing.py  lib/extra.py  calendar/data.txt
    tests/conftest.py  tests/helpers.py  tests/a/test_a.py  tests/a/near.py  tests/b/test_b.py  tests/b/near.py
    package/__init__.py  package/tests/__init__.py  package/tests/common.py  package/tests/deep/__init__.py
    package/tests/deep/test_deep.py  namespace/inner/__init__.py  namespace/inner/leaf.py  shadow/data.json
    site/shadow/__init__.py  site/namespace/other.py  site/package/__init__.py  site/json.py  statistics/__init__.py
    pkg-core/pyproject.toml  pkg-core/src/core/fixtures.py  libs/more/setup.py  libs/more/more/leaf.py  libs/more/shadow/a.py
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a tree with packages, namespaces, modules of one name, and a `site-packages`."""
    for name in _FILES.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = lib\nnorecursedirs = site")
    return tmp_path


def _find(root: Path, path: str, dotted: str, *paths: Path) -> str | None:
    tree = ProjectTree.read(root, paths)
    (project,) = tree.projects
    site = Site((str(root / "site"),))
    finder = ModuleFinder(project.settings, [*project.test_files, *project.conftests], site, tree.listings)
    found = finder.find(str(root / path), dotted)
    assert finder.find(str(root / path), dotted) == found
    return found and tree.relative(found)


@pytest.mark.parametrize(
    ("path", "dotted", "found"),
    [
        ("tests/a/test_a.py", "near", "tests/a/near.py"),
        ("tests/b/test_b.py", "near", "tests/b/near.py"),
        ("tests/a/test_a.py", "helpers", "tests/helpers.py"),
        ("conftest.py", "helpers", "helpers.py"),
        ("tests/a/test_a.py", "conftest", "tests/conftest.py"),
        ("tests/a/test_a.py", "tests.helpers", "tests/helpers.py"),
        ("tests/a/test_a.py", "app.testing", "src/app/testing.py"),
        ("tests/a/test_a.py", "extra", "lib/extra.py"),
        ("tests/a/test_a.py", "package", "package/__init__.py"),
        ("package/tests/deep/test_deep.py", "package.tests.common", "package/tests/common.py"),
        ("package/tests/deep/test_deep.py", "..common", "package/tests/common.py"),
        ("package/tests/deep/test_deep.py", "..", "package/tests/__init__.py"),
        ("package/tests/__init__.py", ".common", "package/tests/common.py"),
        ("tests/a/test_a.py", ".", "tests/a"),
        ("tests/a/test_a.py", "namespace.inner.leaf", "namespace/inner/leaf.py"),
        ("tests/a/test_a.py", "namespace", "namespace"),
        ("tests/a/test_a.py", "core.fixtures", "pkg-core/src/core/fixtures.py"),
        ("tests/a/test_a.py", "more.leaf", "libs/more/more/leaf.py"),
        ("tests/a/test_a.py", "shadow.a", None),
        ("tests/a/test_a.py", "namespace.other", "site/namespace/other.py"),
        ("tests/a/test_a.py", "shadow", "site/shadow/__init__.py"),
        ("tests/a/test_a.py", "statistics", "statistics/__init__.py"),
        ("tests/a/test_a.py", "calendar", None),
        ("tests/a/test_a.py", "json", None),
        ("tests/a/test_a.py", "helpers.nothing", None),
        ("tests/a/test_a.py", "nowhere", None),
        ("tests/a/test_a.py", "....................far", None),
    ],
)
def test_a_module_is_found_where_python_would_find_it(path: str, dotted: str, found: str | None, root: Path) -> None:
    """Nearest roots first, packages before namespaces; the standard library and what is nowhere have no file."""
    assert _find(root, path, dotted) == found


def test_an_editable_install_is_found_through_its_mapping(root: Path) -> None:
    """A package that is installed from elsewhere is read there."""
    elsewhere = root.parent / f"{root.name}_elsewhere"
    (elsewhere / "mapped").mkdir(parents=True)
    (elsewhere / "mapped/__init__.py").touch()
    tree = ProjectTree.read(root)
    site = Site((), {"mapped": str(elsewhere)})
    finder = ModuleFinder(tree.projects[0].settings, (), site, tree.listings)
    assert finder.find(str(root / "conftest.py"), "mapped") == str(elsewhere / "mapped/__init__.py")


def test_the_distributions_of_a_tree_are_found_when_a_part_of_it_is_read(root: Path) -> None:
    """Whoever audits one directory has the other packages of the repository installed, too."""
    assert _find(root, "tests/a/test_a.py", "core.fixtures", root / "tests") == "pkg-core/src/core/fixtures.py"
