"""The plugins of a project: pytest's own, installed ones, and those that its settings name."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from envmatrix.analysis.project.config_files import lenient, read_ini, read_toml, table
from envmatrix.analysis.project.installed import EntryPoint, Site, entry_point, normalised
from envmatrix.analysis.project.requirements import declared
from envmatrix.analysis.project.settings import PytestSettings

_GROUP = "pytest11"
_KNOWN = re.compile(
    r"allure-pytest|anyio|betamax|devtools|faker|hypothesis|inline-snapshot|langsmith|logfire|nbval|pyfakefs|requests-mock|respx"
    r"|schemathesis|seleniumbase|snapshottest|syrupy|tavern|time-machine|typeguard|xdoctest"
)
"""Distributions of plugins whose names do not say so."""


_METADATA = frozenset({"metadata", "include_metadata_in_junit_xml"})

PROVIDED_BY: Mapping[str, frozenset[str]] = {
    "anyio": frozenset(
        {"anyio_backend", "anyio_backend_name", "anyio_backend_options"}
        | {"free_tcp_port", "free_tcp_port_factory", "free_udp_port", "free_udp_port_factory"}
    ),
    "faker": frozenset({"faker"}),
    "hypothesis": frozenset(),
    "pytest-asyncio": frozenset(
        {"event_loop", "event_loop_policy", "event_loop_process_pool"}
        | {"unused_tcp_port", "unused_tcp_port_factory", "unused_udp_port", "unused_udp_port_factory"}
    ),
    "pytest-benchmark": frozenset({"benchmark", "benchmark_weave"}),
    "pytest-clarity": frozenset(),
    "pytest-codspeed": frozenset({"benchmark"}),
    "pytest-cov": frozenset({"cov", "no_cover"}),
    "pytest-env": frozenset(),
    "pytest-forked": frozenset(),
    "pytest-freezer": frozenset({"freezer"}),
    "pytest-github-actions-annotate-failures": frozenset(),
    "pytest-html": frozenset({"extra", "extras"}) | _METADATA,  # it brings pytest-metadata
    "pytest-httpx": frozenset({"httpx_mock", "assert_all_responses_were_requested", "non_mocked_hosts"}),
    "pytest-icdiff": frozenset(),
    "pytest-instafail": frozenset(),
    "pytest-metadata": _METADATA,
    "pytest-mock": frozenset({"mocker", "class_mocker", "module_mocker", "package_mocker", "session_mocker"}),
    "pytest-order": frozenset(),
    "pytest-randomly": frozenset(),
    "pytest-repeat": frozenset(),
    "pytest-rerunfailures": frozenset(),
    "pytest-socket": frozenset({"socket_disabled", "socket_enabled"}),
    "pytest-split": frozenset(),
    "pytest-subtests": frozenset({"subtests"}),
    "pytest-sugar": frozenset(),
    "pytest-timeout": frozenset(),
    "pytest-xdist": frozenset({"worker_id", "testrun_uid"}),
    "requests-mock": frozenset({"requests_mock"}),
    "respx": frozenset({"respx_mock"}),
    "syrupy": frozenset({"snapshot"}),
    "time-machine": frozenset({"time_machine"}),
}
"""Fixtures of widely used plugins, in any version: one that is not installed casts no doubt on other names."""

_OURS = "envmatrix"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module that pytest registers before it collects anything."""

    name: str
    """Its name for `-p`."""
    module: str
    path: str | None
    """Its file, absolute; None where it has no source."""
    distribution: str
    """Normalised name of its distribution; empty for the project itself and for `-p`."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins of a project."""

    registered: tuple[Plugin, ...]
    """In the order in which pytest registers them: of fixtures with one name, the last one wins."""
    builtin: tuple[str, ...]
    """Names of all that pytest brings, registered or not."""
    absent: tuple[str, ...]
    """Normalised names of declared distributions that look like plugins and are not installed: any of them may provide
    a missing fixture."""


def find_plugins(settings: PytestSettings, site: Site, find: Callable[[str, str], str | None]) -> Plugins:
    """Find the plugins of a project by reading metadata; none of them is imported.

    Args:
        settings: The project's.
        site: What is installed.
        find: The file of a module, as seen from a file: `ModuleFinder.find`.
    """
    here = str(settings.root / "conftest.py")
    points: dict[str, EntryPoint] = {}
    for point in (*_own_entry_points(settings.root), *site.entry_points(_GROUP)):
        points.setdefault(point.name, point)
    plugins: dict[str, Plugin] = {}

    def add(name: str, module: str, distribution: str) -> None:
        if name not in settings.blocked and name not in plugins:
            plugins[name] = Plugin(name, module, find(here, module), distribution)

    default, others = _builtin(find(here, "_pytest.config"))
    for name in default:
        add(name, f"_pytest.{name}", "pytest")
    for name in settings.plugins:
        if name in others:
            add(name, f"_pytest.{name}", "pytest")
        elif name in points:
            add(name, points[name].module, points[name].distribution)
        else:
            add(name, name, "")
    requirements = declared(settings.root)
    for point in sorted(points.values(), key=lambda point: point.distribution) if settings.is_autoload else ():
        if point.distribution != _OURS or _OURS in requirements or has_environments(settings.root):
            add(point.name, point.module, point.distribution)
    absent = {name for name in requirements if _is_plugin(name)} - site.distributions
    return Plugins(tuple(plugins.values()), others, tuple(sorted(absent)))


def has_environments(root: Path) -> bool:
    """Return whether a project may select an environment: without one, our fixtures only raise an error.

    In a project that installs us for the audit alone, `real_services` is a fixture of its own, which the index may not see.
    """
    for directory in (root, *root.parents):
        if any((directory / "environments").glob("*.toml")):
            return True
        if table(lenient(read_toml, directory / "pyproject.toml") or {}, "tool", _OURS).keys() - {"audit"}:
            return True
    return False


def _is_plugin(name: str) -> bool:
    return _KNOWN.fullmatch(name) is not None or ("pytest" in name.split("-") and name != "pytest")


def _own_entry_points(root: Path) -> Iterator[EntryPoint]:
    """Yield the plugins that the project itself declares: it is installed where its tests run."""
    data = lenient(read_toml, root / "pyproject.toml") or {}
    name = normalised(str(table(data, "project").get("name", "")))
    for keys in (("project", "entry-points", _GROUP), ("tool", "poetry", "plugins", _GROUP)):
        for key, value in table(data, *keys).items():
            yield entry_point(name, key, str(value))
    for line in (
        (lenient(read_ini, root / "setup.cfg") or {}).get("options.entry_points", {}).get(_GROUP, "").splitlines()
    ):
        key, equals, text = line.partition("=")
        if equals:
            yield entry_point("", key, text)


def _builtin(config: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return pytest's default plugins and all that it ships, as its own source lists them."""
    if config is None:
        return (), ()
    lists: dict[str, tuple[str, ...]] = {}
    source = Path(config).read_text(encoding="utf-8")
    for text in re.findall(r"^\w+_plugins = [({].*?^[)}]", source, re.MULTILINE | re.DOTALL):
        match ast.parse(text).body[0]:  # parsing the whole of it takes as long as all else here
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple(elts=items) | ast.Set(elts=items)):
                lists[name] = tuple(_words(items, lists))
            case _:
                pass
    default = lists.get("default_plugins", ())
    return default, lists.get("builtin_plugins", default)


def _words(items: Iterable[ast.expr], lists: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for item in items:
        match item:
            case ast.Constant(value=str(word)):
                yield word
            case ast.Starred(value=ast.Name(id=name)):
                yield from lists.get(name, ())
            case _:
                pass
