"""Which plugins a project has, and which it only declares."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from envmatrix.analysis.project.installed import Site, normalised
from envmatrix.analysis.project.modules import ModuleFinder
from envmatrix.analysis.project.plugins import PROVIDED_BY, Plugins, find_plugins
from envmatrix.analysis.project.requirements import declared
from envmatrix.analysis.project.settings import PytestSettings
from envmatrix.analysis.project.tree import ProjectTree


def _plugins(root: Path, site: Site | None = None) -> Plugins:
    settings = PytestSettings.find(root)
    site = site or Site.of(root)
    return find_plugins(settings, site, ModuleFinder(settings, (), site, ProjectTree.read(root).listings).find)


def _installed(root: Path, name: str, entry_point: str) -> None:
    info = root / "site" / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(f"[pytest11]\n{entry_point}\n")
    (root / "site" / entry_point.rsplit(maxsplit=1)[-1]).with_suffix(".py").touch()


def test_plugins_are_those_that_pytest_registers(pytester: pytest.Pytester) -> None:
    """Built-in, installed and named ones are the same modules as in a run; none of those blocked is there."""
    pytester.makeini("[pytest]\naddopts = -p no:recwarn -p no:asyncio -p no:cacheprovider -p pytester -p mine")
    pytester.makepyfile(mine="")
    pytester.syspathinsert()
    (pytester.path / "requirements.txt").write_text("envmatrix")
    manager = pytester.parseconfig().pluginmanager
    registered = {module.__name__ for module in manager.get_plugins() if hasattr(module, "__name__")}
    plugins = _plugins(pytester.path)
    assert {plugin.module for plugin in plugins.registered} == registered - {"_pytest.pytester_assertions"}
    paths = {plugin.name: plugin.path for plugin in plugins.registered}
    assert paths["mine"] == str(pytester.path / "mine.py")
    for plugin in plugins.registered:
        assert plugin.path == manager.get_plugin(plugin.name).__file__


def test_a_plugin_that_cannot_be_read_has_no_path(tmp_path: Path) -> None:
    """It is registered all the same: its fixtures are unknown, not missing."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p nowhere")
    (plugin,) = _plugins(tmp_path, Site(())).registered
    assert (plugin.name, plugin.path) == ("nowhere", None)


def test_installed_plugins_may_have_to_be_named(tmp_path: Path) -> None:
    """With `--disable-plugin-autoload`, only those named by `-p` are loaded, by the name of their entry point."""
    _installed(tmp_path, "pytest_a", "a = plugin_a")
    _installed(tmp_path, "pytest_b", "b = plugin_b")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload -p b")
    (plugin,) = _plugins(tmp_path, Site.read([tmp_path / "site"])).registered
    assert (plugin.name, plugin.module, plugin.distribution) == ("b", "plugin_b", "pytest-b")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[project]\nname = 'me'\n[project.entry-points.pytest11]\nown = 'own_plugin'"),
        ("pyproject.toml", "[tool.poetry.plugins.pytest11]\nown = 'own_plugin'"),
        ("setup.cfg", "[options.entry_points]\npytest11 =\n    own = own_plugin"),
    ],
)
def test_the_plugin_that_a_project_is_counts_as_loaded(name: str, text: str, tmp_path: Path) -> None:
    """Whoever tests a plugin has it installed."""
    (tmp_path / name).write_text(text)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/own_plugin.py").touch()
    (plugin,) = _plugins(tmp_path, Site(())).registered
    assert (plugin.name, plugin.path) == ("own", str(tmp_path / "src/own_plugin.py"))


_DECLARATIONS = {
    "pyproject.toml": """
        [project]
        name = "pytest-of-mine"
        dependencies = ["pytest>=9", "a_b[extra] >= 1; python_version < '4'"]
        [project.optional-dependencies]
        pytest-extra = ["pytest-c"]
        [dependency-groups]
        test = ["Pytest.D", {include-group = "other"}]
        [tool.poetry.group.dev.dependencies]
        pytest-e = "^1.0"
        pytest-f = {version = "*"}
        pytest-r = [{version = "1", python = "<3"}, {version = "2"}]
        [tool.uv]
        dev-dependencies = ["pytest-s"]
        [tool.setuptools.dynamic]
        optional-dependencies.test = {file = ["deps.in"]}
        [tool.hatch.envs.test]
        extra-dependencies = ["pytest-g"]
        [tool.pytest.ini_options]
        required_plugins = "pytest-not"
        """,
    "setup.cfg": """
[options]
install_requires =
    pytest-h
python_requires = >=3
[options.extras_require]
test =
    pytest-i>1
        """,
    "tox.ini": "[testenv]\ndescription = pytest-not\ndeps =\n    pytest-j\n    py311: pytest-k\n    -r requirements.txt\n",
    "requirements-dev.txt": "# pytest-not\npytest-l==1.0\n-r other.txt\n--hash=x\n",
    "requirements/test.txt": "pytest-m @ https://example.org/m.whl",
    "setup.py": "TESTS = ['pytest-q']\nsetup(install_requires=('pytest-n>=1',), description='no pytest-not')",
    "requirements/dev.in": "pytest-o\n-r ../extra/chain.txt\n",
    "extra/chain.txt": "--requirement=deeper.txt\n-c constraints.txt\n",
    "extra/deeper.txt": "pytest-p\n-r chain.txt",
    "extra/constraints.txt": "pytest-not\n",
    "deps.in": "pytest-t",
}


def test_what_a_project_declares_is_read_wherever_it_may_stand(tmp_path: Path) -> None:
    """Requirements of all groups, extras and tools; not what else is named in these files."""
    for name, text in _DECLARATIONS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("\n        ", "\n"))
    plugins = {f"pytest-{letter}" for letter in "cdefghijklmnopqrst"}
    assert {name for name in declared(tmp_path) if name.startswith("pytest")} == plugins | {"pytest"}
    assert "a-b" in declared(tmp_path)
    assert set(_plugins(tmp_path, Site(())).absent) == plugins


def test_a_declared_plugin_is_absent_until_it_is_installed(tmp_path: Path) -> None:
    """Only what looks like a pytest plugin, or is known to be one."""
    (tmp_path / "requirements.txt").write_text("pytest-mock\nsyrupy\nrequests\npytest\n")
    _installed(tmp_path, "pytest_mock", "pytest_mock = pytest_mock")
    site = Site.read([tmp_path / "site"])
    assert _plugins(tmp_path, site).absent == ("syrupy",)


def test_a_broken_file_declares_nothing(tmp_path: Path) -> None:
    """Pytest need not be able to read it; the others count."""
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "setup.cfg").write_text("{{ template }}")
    (tmp_path / "pyproject.toml").write_bytes(b"\xff")
    (tmp_path / "requirements.txt").write_text("pytest-mock")
    assert _plugins(tmp_path, Site(())).absent == ("pytest-mock",)


def test_of_two_plugins_of_one_name_the_projects_own_is_taken(tmp_path: Path) -> None:
    """It may be installed as well, and older."""
    _installed(tmp_path, "other", "own = other_plugin")
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'me'\n[project.entry-points.pytest11]\nown = 'own_plugin'"
    )
    (plugin,) = _plugins(tmp_path, Site.read([tmp_path / "site"])).registered
    assert (plugin.module, plugin.distribution) == ("own_plugin", "me")


def test_what_a_plugin_is_said_to_provide_is_what_it_provides(pytester: pytest.Pytester) -> None:
    """Each of them that is installed here: a name too few would be called missing where the plugin is not installed."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile("def test_a(): ...")
    shown = pytester.runpytest_inprocess("--fixtures", "-v").stdout.str()
    provided: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        for point in distribution.entry_points.select(group="pytest11"):
            names = provided.setdefault(normalised(distribution.name), set())
            _, _, section = shown.partition(f" fixtures defined from {point.module} ")
            listed = section.split("\n----")[0]
            names.update(re.findall(r"^([^\W_]\w*)(?: \[\w+ scope\])? -- ", listed, re.MULTILINE))
    checked = provided.keys() & PROVIDED_BY.keys()
    assert {"anyio", "hypothesis", "pytest-asyncio", "pytest-xdist"} <= checked
    assert [(name, more) for name in checked if (more := provided[name] - PROVIDED_BY[name])] == []


@pytest.mark.parametrize(
    ("files", "is_counted"),
    [
        ({"pyproject.toml": "[tool.envmatrix.audit]\nignore = ['EM3']"}, False),
        ({"environments/notes.txt": ""}, False),
        ({"environments/local.toml": ""}, True),
        ({"pyproject.toml": "[tool.envmatrix]\nenvironments = 'places'"}, True),
        ({"requirements.txt": "envmatrix"}, True),
        ({"setup.py": "setup(extras_require=dict(test=['envmatrix[embedded]']))"}, True),
        ({"pytest.ini": "[pytest]\naddopts = -p envmatrix"}, True),
        ({"../environments/local.toml": ""}, True),
    ],
)
def test_our_own_fixtures_count_where_a_project_has_to_do_with_environments(
    tmp_path: Path, files: dict[str, str], *, is_counted: bool
) -> None:
    """Elsewhere, all that they give is the error that no environment is selected: nobody meant them."""
    root = tmp_path / "project"
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "setup.py").touch()  # which makes it the root
    _installed(root, "envmatrix", "envmatrix = envmatrix.plugin")
    found = _plugins(root, Site.read([root / "site"])).registered
    assert ("envmatrix" in {plugin.name for plugin in found}) is is_counted
