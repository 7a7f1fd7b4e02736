"""What pytest's configuration says, held against pytest itself."""

from pathlib import Path

import pytest

from envmatrix.analysis.index.build import index_of
from envmatrix.analysis.project.settings import PytestSettings
from envmatrix.exceptions import DeclarationError

_LAYOUTS = {
    "nothing": {},
    "pytest.ini": {
        "pytest.ini": "[pytest]\ntestpaths = tests 'more tests'\npython_files =\n    check_*.py\n    test_*.py"
    },
    "empty pytest.ini": {"pytest.ini": ""},
    "hidden": {".pytest.ini": "[pytest]\nusefixtures = a b"},
    "native": {"pytest.toml": '[pytest]\npython_classes = ["Check", "Test"]\npythonpath = ["src", "."]'},
    "empty pytest.toml": {"pytest.toml": "", "pytest.ini": "[pytest]\ntestpaths = elsewhere"},
    "pyproject": {
        "pyproject.toml": "[tool.pytest.ini_options]\npython_functions = 'check test'\nnorecursedirs = ['x']"
    },
    "native pyproject": {"pyproject.toml": "[tool.pytest]\ntestpaths = ['a']\naddopts = ['--import-mode=importlib']"},
    "empty table": {"pyproject.toml": "[tool.pytest.ini_options]"},
    "tox.ini": {"tox.ini": "[tox]\n[pytest]\npythonpath = lib  src"},
    "setup.cfg": {"setup.cfg": "[tool:pytest]\ntestpaths = t"},
    "order": {"tox.ini": "[pytest]\ntestpaths = b", "setup.cfg": "[tool:pytest]\ntestpaths = c", "pyproject.toml": ""},
    "pyproject for others": {"pyproject.toml": "[project]\nname = 'x'", "inner/setup.py": ""},
    "setup.py": {"setup.py": ""},
    "nearest": {"pytest.ini": "[pytest]\ntestpaths = a", "inner/tox.ini": "[pytest]\ntestpaths = b"},
    "nearer, and not pytest's": {"pytest.ini": "[pytest]\ntestpaths = a", "inner/tox.ini": "[tox]\n"},
    "comments": {"pytest.ini": "[pytest]\ntestpaths = a ; b\nusefixtures = # none\n"},
    "options": {"pytest.ini": "[pytest]\naddopts = -p no:tmpdir --import-mode append -o usefixtures=z --ignore=x\n"},
}


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_settings_are_those_of_pytest(layout: str, pytester: pytest.Pytester) -> None:
    """Root, file and values are what pytest itself takes from every kind of configuration file, from a directory below."""
    inner = pytester.mkdir("inner")
    for name, text in _LAYOUTS[layout].items():
        (pytester.path / name).write_text(text)
    config = pytester.parseconfig(inner)
    settings = PytestSettings.find(inner)
    if config.inipath is not None or layout == "setup.py":
        assert settings.root == config.rootpath
    assert settings.file == config.inipath
    for key in ("testpaths", "python_files", "python_classes", "python_functions", "norecursedirs", "usefixtures"):
        assert list(getattr(settings, key)) == config.getini(key)
    assert [str(path) for path in settings.pythonpath] == [str(path) for path in config.getini("pythonpath")]
    assert settings.import_mode == config.getoption("importmode")


def test_without_any_file_the_directory_itself_is_the_root(tmp_path: Path) -> None:
    """Where nothing configures pytest, the directory that is asked about is its root."""
    (tmp_path / "test_a.py").touch()
    assert PytestSettings.find(tmp_path / "test_a.py") == PytestSettings(root=tmp_path, confcutdir=tmp_path)


def test_options_that_change_what_is_collected_are_read_from_addopts(tmp_path: Path) -> None:
    """Plugins named and blocked, in their order; ignored paths; where conftests end; all others are passed over."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = -q -p no:a -pno:b -p a -p mine --maxfail 1 --ignore gone --ignore-glob=*_old.py\n"
        "  --confcutdir=tests --disable-plugin-autoload -p no:cacheprovider"
    )
    settings = PytestSettings.find(tmp_path)
    assert settings.plugins == ("a", "mine")
    assert settings.blocked == {"b", "pytest_b", "cacheprovider", "pytest_cacheprovider", "stepwise", "pytest_stepwise"}
    assert settings.ignore == (str(tmp_path / "gone"),)
    assert settings.ignore_glob == (str(tmp_path / "*_old.py"),)
    assert settings.confcutdir == tmp_path / "tests"
    assert not settings.is_autoload


@pytest.mark.parametrize("version", ["8.4.2", "9.0.0"])
def test_a_table_beside_ini_options_is_what_the_installed_pytest_makes_of_it(tmp_path: Path, version: str) -> None:
    """Pytest 8 passes it over; pytest 9 refuses the file, and so do we, with the line and what to do."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\ntestpaths = ['t']\n[tool.pytest.profiling]\nsvg = true\n"
    )
    site = tmp_path / ".venv/lib/python3.11/site-packages"
    (site / "_pytest").mkdir(parents=True)
    (site / f"pytest-{version}.dist-info").mkdir()
    assert PytestSettings.find(tmp_path).testpaths == ("t",)
    if version.startswith("8"):
        index_of(tmp_path)
    else:
        with pytest.raises(DeclarationError, match="has profiling beside ini_options, which pytest 9 refuses"):
            index_of(tmp_path)


def test_the_running_pytest_refuses_a_table_beside_ini_options(pytester: pytest.Pytester) -> None:
    """As pytest 9 does since it reads `[tool.pytest]` itself."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\ntestpaths = ['t']\n[tool.pytest.profiling]\nsvg = true\n")
    assert pytester.runpytest().ret == pytest.ExitCode.USAGE_ERROR


def test_suites_of_our_own_table_are_read_beside(tmp_path: Path) -> None:
    """`suites` come from `pyproject.toml`, whichever file configures pytest; a node id's file counts."""
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.envmatrix]\nsuites = ['tests/e2e', 'tests/a/test_a.py::test_one']")
    assert PytestSettings.find(tmp_path).suites == ("tests/e2e", "tests/a/test_a.py")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "pytest.ini", b"[pytest]\na = \xff", "pytest.ini:2: is not UTF-8", marks=pytest.mark.fault("not-utf8")
        ),
        pytest.param(
            "pyproject.toml", b"\x00\x01", "pyproject.toml:1: is not TOML", marks=pytest.mark.fault("binary-toml")
        ),
        pytest.param("pyproject.toml", b"[a]\nb = [", "pyproject.toml:2: is not TOML", id="cut off"),
        pytest.param("tox.ini", b"x", "tox.ini:1: is not INI", id="no section"),
        pytest.param(
            "setup.cfg", b"#" * (2 << 20), "setup.cfg: is larger than 1 MiB", marks=pytest.mark.fault("huge-file")
        ),
        pytest.param("pytest.toml", b"[pytest]\n\ntestpaths = 'a'", "pytest.toml:3: testpaths is a list", id="native"),
        pytest.param(
            "pytest.ini", b"[pytest]\naddopts = 'a", "pytest.ini:2: addopts: No closing quotation", id="quote"
        ),
    ],
)
def test_what_is_broken_is_said_with_file_and_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    """A configuration that pytest could not use either is an error of one line."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeclarationError) as caught:
        PytestSettings.find(tmp_path)
    assert caught.value.message.removeprefix(f"{tmp_path}/").startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("empty-file")
def test_an_empty_file_configures_pytest_if_it_is_named_after_it(tmp_path: Path) -> None:
    """An empty `pytest.ini` makes its directory the root; an empty `tox.ini` does not."""
    (tmp_path / "pytest.ini").touch()
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "tox.ini").touch()
    assert PytestSettings.find(inner).file == tmp_path / "pytest.ini"
