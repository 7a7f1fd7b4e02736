"""Which files are collected, held against pytest itself."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from envmatrix.analysis.project.tree import ProjectTree, PytestProject
from envmatrix.exceptions import UsageError

_TEST = "def test(): pass"


def _grow(root: Path, files: Mapping[str, str] | list[str]) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name] if isinstance(files, Mapping) else _TEST if "test_" in name else "")


def _relative(root: Path, files: tuple[str, ...]) -> list[str]:
    return [str(Path(file).relative_to(root)) for file in files]


def _only(tree: ProjectTree) -> PytestProject:
    (project,) = tree.projects
    return project


_COLLECTED = {
    "by default": (
        {},
        [
            *("test_a.py", "b_test.py", "testc.py", "d.py", "Test_e.py", "test_f.txt"),
            *(
                f"{name}/test_a.py"
                for name in ("a", ".b", "build", "c.egg", "venv", "node_modules", "__pycache__", "dist.x")
            ),
            *(
                "env/pyvenv.cfg",
                "env/test_a.py",
                "conda/conda-meta/history",
                "conda/test_a.py",
                "no/conda-meta/x",
                "no/test_a.py",
            ),
        ],
        (),
    ),
    "by patterns": (
        {
            "python_files": "check_*.py u/*_x.py",
            "norecursedirs": "x* a/b",
            "addopts": "--ignore=i --ignore-glob=**/*_old.py",
        },
        [
            *("check_a.py", "test_a.py", "u/v_x.py", "w/v_x.py", "i/check_a.py", "j/check_old.py", "j/check_new.py"),
            *("build/check_a.py", "xy/check_a.py", "a/b/check_a.py", "a/c/check_a.py", "c/a/b/check_a.py"),
        ],
        (),
    ),
    "every file of a package": ({"python_files": "*.py"}, ["p/__init__.py", "p/a.py", "p/test_a.py"], ()),
    "by testpaths": (
        {"testpaths": "u* .b v/any.py"},
        ["u1/test_a.py", "u2/x/test_a.py", "v/any.py", "v/test_a.py", ".b/test_a.py", ".b/.c/test_a.py"],
        (),
    ),
    "testpaths that are gone": ({"testpaths": "gone"}, ["u/test_a.py"], ()),
    "by name": (
        {"testpaths": "t"},
        ["a/any.py", "a/test_a.py", ".b/test_b.py", ".b/.x/test_x.py", ".c/d/test_d.py", ".c/test_c.py", "t/test_t.py"],
        ("a/any.py", ".b", ".c/d"),
    ),
}


@pytest.mark.parametrize("case", _COLLECTED)
def test_pytest_collects_the_same_files(case: str, pytester: pytest.Pytester) -> None:
    """With the same settings and arguments, the files with tests are those of pytest."""
    options, files, arguments = _COLLECTED[case]
    pytester.makeini("\n".join(["[pytest]", *(f"{key} = {value}" for key, value in options.items())]))
    _grow(pytester.path, dict.fromkeys(files, _TEST))
    items, _ = pytester.inline_genitems("--import-mode=importlib", "-p", "no:asyncio", *arguments)
    assert items
    project = _only(ProjectTree.read(pytester.path, [Path(argument) for argument in arguments]))
    assert _relative(pytester.path, project.test_files) == sorted({item.nodeid.partition("::")[0] for item in items})


def test_conftests_are_those_on_the_way_and_below(tmp_path: Path) -> None:
    """From the project's root down to what is collected, and all below it; not those of other directories."""
    _grow(
        tmp_path,
        ["conftest.py", "a/conftest.py", "a/b/conftest.py", "a/b/test_b.py", "a/b/c/conftest.py", "d/conftest.py"],
    )
    (tmp_path / "pytest.ini").touch()
    project = _only(ProjectTree.read(tmp_path, [tmp_path / "a/b"]))
    assert _relative(tmp_path, project.conftests) == [
        "a/b/c/conftest.py",
        "a/b/conftest.py",
        "a/conftest.py",
        "conftest.py",
    ]
    above = _only(ProjectTree.read(tmp_path / "a/b"))
    assert above.test_files == project.test_files
    assert set(above.conftests) == set(project.conftests)


def test_a_directory_that_configures_pytest_is_a_project_of_its_own(tmp_path: Path) -> None:
    """Its tests go by its own settings, and do not see the conftests above it; what has no settings goes by those around."""
    _grow(
        tmp_path,
        {
            "pytest.ini": "[pytest]\ntestpaths = tests",
            "conftest.py": "",
            "tests/test_a.py": _TEST,
            "tests/sample/pytest.ini": "",
            "tests/sample/test_covered.py": _TEST,
            "packages/x/pyproject.toml": "[tool.pytest.ini_options]\npython_files = 'check_*.py'\ntestpaths = ['t']",
            "packages/x/conftest.py": "",
            "packages/x/t/check_x.py": _TEST,
            "packages/x/t/test_x.py": _TEST,
            "packages/x/check_elsewhere.py": _TEST,
            "packages/y/pyproject.toml": "[project]\nname = 'y'",
            "packages/y/test_y.py": _TEST,
            "broken/pyproject.toml": "[tool.pytest.ini_options",
            "node_modules/z/pytest.ini": "",
            "node_modules/z/test_z.py": _TEST,
        },
    )
    outer, inner = ProjectTree.read(tmp_path).projects
    assert _relative(tmp_path, outer.test_files) == ["tests/sample/test_covered.py", "tests/test_a.py"]
    assert _relative(tmp_path, inner.test_files) == ["packages/x/t/check_x.py"]
    assert _relative(tmp_path, inner.conftests) == ["packages/x/conftest.py"]
    named = ProjectTree.read(tmp_path, [tmp_path / "packages"])
    assert [_relative(tmp_path, project.test_files) for project in named.projects] == [
        ["packages/y/test_y.py"],
        ["packages/x/check_elsewhere.py", "packages/x/t/check_x.py"],
    ]


def test_links_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    """A link to a directory is collected as pytest does; one that leads back ends there, as does one to nowhere."""
    _grow(tmp_path, ["a/test_a.py", "b/test_b.py"])
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b/to_a").symlink_to(tmp_path / "a")
    (tmp_path / "b/test_gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "b/itself").symlink_to("itself")
    files = _relative(tmp_path, _only(ProjectTree.read(tmp_path)).test_files)
    assert files == ["a/test_a.py", "a/to_b/test_b.py", "b/test_b.py", "b/to_a/test_a.py"]


def test_a_directory_that_may_not_be_listed_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold tests, so that it stands among the files that are to be read, and cannot be."""
    _grow(tmp_path, ["a/test_a.py", "b/test_b.py", "docs/x.md"])
    scan = os.scandir

    def denied(path: str) -> object:
        if path.endswith("/b"):
            raise PermissionError
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)  # root may list anything
    assert _relative(tmp_path, _only(ProjectTree.read(tmp_path)).test_files) == ["a/test_a.py", "b"]


def test_what_conftests_ignore_goes_by_the_nearest_that_says_anything(tmp_path: Path) -> None:
    """Files and directories of `collect_ignore`, patterns of `collect_ignore_glob`: a conftest below replaces one above."""
    _grow(
        tmp_path,
        ["conftest.py", "a/conftest.py", "a/test_a.py", "a/b/test_b.py", "c/test_c.py", "c/conftest.py", "test_d.py"],
    )
    project = _only(ProjectTree.read(tmp_path))
    top, below = str(tmp_path / "conftest.py"), str(tmp_path / "a/conftest.py")
    left = project.without({top: ["a/test_a.py", "c"], below: ["b"]}, {top: ["*_d.py"]})
    assert _relative(tmp_path, left.test_files) == ["a/test_a.py"]
    assert _relative(tmp_path, left.conftests) == ["a/conftest.py", "conftest.py"]
    assert project.without({}, {}) is project


def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    """A mistyped path is said, not passed over."""
    with pytest.raises(UsageError, match=r"no such file or directory: .*tsets"):
        ProjectTree.read(tmp_path, [tmp_path / "tsets"])


def test_a_very_deep_tree_is_walked(tmp_path: Path) -> None:
    """No limit of recursion is met before that of the file system."""
    deep = tmp_path.joinpath(*["d"] * 600)
    deep.mkdir(parents=True)
    (deep / "test_a.py").write_text(_TEST)
    assert _only(ProjectTree.read(tmp_path)).test_files == (str(deep / "test_a.py"),)
