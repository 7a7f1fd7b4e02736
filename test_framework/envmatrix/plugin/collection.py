"""Checks the collected tests before anything starts: what they need, what is forbidden, which fixtures are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envmatrix.environments import Source, declared_names, load_file
from envmatrix.exceptions import EnvmatrixError, MissingFixtureError, UnknownCapabilityError, nearest
from envmatrix.plugin.note import note_of
from envmatrix.plugin.preconditions import DESTRUCTIVE, ENDPOINTS, MISSING, REQUIRED, USED
from envmatrix.plugin.process import Process
from envmatrix.runs.rules import RuleCode

if TYPE_CHECKING:
    from envmatrix.analysis.index.definitions import FixtureDefinition

NEEDS = pytest.StashKey[bool]()
"""Set for an item that needs the environment."""
_NEEDED = pytest.StashKey[frozenset[str]]()
"""The services that must be up for an item, with those that they need themselves."""
_WELL_KNOWN = frozenset(
    {"auth", "backend", "clickhouse", "database", "llm", "multi_user", "real_llm", "redis", "websocket"}
)
"""Capabilities that may be required in a project of which no environment has them yet."""


class Collection:
    """Checks the collected items of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._environment = process.selection.environment
        self._everything = self._environment.closure(frozenset(self._environment.services))
        self._contract_fixtures = process.selection.contract_fixtures
        self._missing: list[MissingFixtureError] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip the tests that the environment cannot or must not run; note what the others need."""
        inherited: dict[pytest.Collector | None, list[pytest.Mark]] = {}
        """The markers that the items of a module or a class share: cheaper than a walk up from each item."""
        for item in items:
            if (above := inherited.get(item.parent)) is None:
                above = inherited[item.parent] = list(item.parent.iter_markers()) if item.parent else []
            markers = [*item.own_markers, *above]
            try:
                required = self._capabilities(item, [marker for marker in markers if marker.name == "requires"])
            except UnknownCapabilityError as error:
                if self._process.is_worker:  # which cannot end the run: the test itself says it
                    item.stash[MISSING] = error
                    continue
                raise pytest.UsageError(str(error)) from None
            destructive = any(marker.name == "destructive" for marker in markers)
            if reason := self._reason_to_skip(required, destructive=destructive):
                item.add_marker(pytest.mark.skip(reason=reason))
                continue
            if destructive:
                item.stash[DESTRUCTIVE] = True
            if not any(marker.name == "skip" for marker in markers):
                self._note_needs(item, required, {marker.name for marker in markers})

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find the missing fixtures; have the services started that the remaining tests need."""
        missing: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            if needed := item.stash.get(_NEEDED, None):
                self._process.needed |= needed
            for name in missing_fixtures(item):
                missing.setdefault(name, []).append(item)
        if missing:
            self._note_missing(missing, session.config.rootpath)
        if self._process.needed and not session.config.option.collectonly:
            self._process.session.want(self._process.needed)

    def _note_missing(self, missing: dict[str, list[pytest.Item]], root: Path) -> None:
        from envmatrix.analysis.index.definitions import find_definitions

        providers = list(find_definitions(root))
        known = {provider.name for provider in providers}
        for name, items in missing.items():
            error = MissingFixtureError(
                name,
                tuple(item.nodeid for item in items),
                tuple(_nearest(name, items[0].path, providers, root)),
                "" if name in known else nearest(name, known),
            )
            self._missing.append(error)
            for item in items:
                item.stash.setdefault(MISSING, error)

    def pytest_report_collectionfinish(self) -> list[str]:
        """List the missing fixtures under the number of collected items."""
        return [f"error: {error}" for error in self._missing]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List them again where they were not seen: `-q` hides the lines after collection, xdist collects elsewhere."""
        reports = [report for key in ("failed", "error") for report in terminalreporter.stats.get(key, ())]
        evidence = [found for report in reports if (found := note_of(report).evidence) is not None]
        lines = [f"error: {error}" for error in self._missing]
        lines += [f"error: {each.summary}" for each in evidence if each.rule == RuleCode.FIXTURE_NOT_FOUND]
        if lines and (terminalreporter.verbosity < 0 or not self._missing):
            terminalreporter.section("fixtures that nobody provides")
            for line in dict.fromkeys(lines):
                terminalreporter.line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let `--collect-only` fail too: pytest's own exits 0 although a fixture is missing."""
        if self._missing and exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _note_needs(self, item: pytest.Item, required: list[str], markers: set[str]) -> None:
        environment = self._environment
        services = frozenset(environment.providers[capability] for capability in required)
        if services:
            item.stash[REQUIRED] = services
        fixtures = self._contract_fixtures.intersection(getattr(item, "fixturenames", ()))
        marked = self._contract_fixtures & markers
        given = environment.given
        if ENDPOINTS in getattr(item, "fixturenames", ()):
            item.stash[NEEDS] = True
            item.stash[_NEEDED] = self._everything
        elif fixtures or marked or services or given:
            item.stash[NEEDS] = True
            item.stash[_NEEDED] = environment.closure(services | given | self._behind(fixtures | marked))
        if NEEDS in item.stash and not fixtures:
            item.stash[USED] = services | given | self._behind(marked)

    def _behind(self, contracts: frozenset[str]) -> frozenset[str]:
        """Return the services that a test may use which asks for the fixtures of some contracts."""
        if contracts - {"real_llm"}:
            return self._everything
        return frozenset({"llm"} & self._environment.services.keys() if contracts else ())

    def _capabilities(self, item: pytest.Item, markers: list[pytest.Mark]) -> list[str]:
        """Return the capabilities that an item requires.

        Raises:
            UnknownCapabilityError: no environment declares one, which would skip the test for ever; or a marker does not
                name any.
        """
        required: list[str] = []
        for marker in markers:
            if not marker.args or marker.kwargs or not all(isinstance(word, str) for word in marker.args):
                how = 'Write @pytest.mark.requires("database", "redis")'
                raise UnknownCapabilityError("capabilities by a marker that does not name them", how, item.nodeid)
            required += marker.args
        for capability in required:
            if capability not in self._environment.providers:
                known = _WELL_KNOWN | _declared_capabilities(self._process.selection.directory)
                if capability not in known:
                    what = f"{capability!r}, which no environment declares"
                    raise UnknownCapabilityError(what, nearest(capability, known), item.nodeid)
        return required

    def _reason_to_skip(self, required: list[str], *, destructive: bool) -> str:
        environment = self._environment
        for capability in required:
            service = environment.providers.get(capability)
            if service is None:
                return f"{capability} is not declared in {environment.label} ({environment.file.name})"
            if environment.services[service].source is Source.ABSENT:
                return f"{capability} is absent in {environment.label} ({environment.file.name})"
        return self._refusal_to_destroy() if destructive else ""

    def _refusal_to_destroy(self) -> str:
        environment = self._environment
        if environment.production:
            return f"destructive, and {environment.label} is production: refused whatever the flags"
        if not environment.destructive:
            return f"destructive, and {environment.file.name} does not say destructive = true"
        if not self._process.selection.destructive:
            return "destructive: runs only with --matrix-destructive"
        return ""


def missing_fixtures(item: pytest.Item) -> Iterator[str]:
    """Yield the fixtures that an item asks for, directly or through others, and that are not defined for it."""
    info = getattr(item, "_fixtureinfo", None)  # no public name; a test compares with pytest's own answer
    if info is None:
        return
    callspec = getattr(item, "callspec", None)
    parametrized = set(callspec.params) if callspec is not None else set()
    for name in info.names_closure:
        if name != "request" and name not in info.name2fixturedefs and name not in parametrized:
            yield name


def _declared_capabilities(directory: Path) -> frozenset[str]:
    capabilities: set[str] = set()
    for name in declared_names(directory):
        try:
            capabilities |= load_file(directory / f"{name}.toml", _AnyVariable(os.environ)).providers.keys()
        except EnvmatrixError:
            continue  # that environment's own run says what is wrong with its file
    return frozenset(capabilities)


class _AnyVariable(dict[str, str]):
    """Variables of which none is unset: capabilities do not depend on their values."""

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]  # always something
        return super().get(name) or default or "http://localhost"


def _nearest(name: str, asking: Path, providers: list[FixtureDefinition], root: Path) -> list[str]:
    """Return where fixtures of that name are defined, nearest to the asking file first, at most three."""

    def distance(provider: FixtureDefinition) -> tuple[int, FixtureDefinition]:
        common = os.path.commonpath([asking.parent, provider.file.parent])
        return len(asking.parent.parts) + len(provider.file.parent.parts) - 2 * len(Path(common).parts), provider

    same = sorted((provider for provider in providers if provider.name == name), key=distance)[:3]
    return [f"{os.path.relpath(provider.file, root)}:{provider.line}" for provider in same]
