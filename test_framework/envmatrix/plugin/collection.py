"""Right after collection, before anything starts: what the tests need, what they may not do, and what nobody provides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envmatrix.analysis import Provider, find_providers
from envmatrix.environments import Source, declared_names, load_file
from envmatrix.exceptions import EnvmatrixError, MissingFixtureError, UnknownCapabilityError, nearest
from envmatrix.plugin.note import note_of
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.runs.rules import RuleCode

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process

REQUIRED = pytest.StashKey[frozenset[str]]()
"""The services behind the capabilities that an item requires."""
MISSING = pytest.StashKey[EnvmatrixError]()
"""Why an item cannot run at all: it asks for what nobody provides."""
NEEDS = pytest.StashKey[bool]()
"""Set for an item that needs the environment."""
_NEEDED = pytest.StashKey[frozenset[str]]()
"""The services that must be up for an item, those included that others of them need."""
DESTRUCTIVE = pytest.StashKey[bool]()
"""Set for an item that may destroy something, once the declaration and the flag have said yes."""

_WELL_KNOWN = frozenset(
    {"auth", "backend", "clickhouse", "database", "llm", "multi_user", "real_llm", "redis", "websocket"}
)
"""Capabilities that may be required in a project of which no environment has them yet."""


class Collection:
    """Looks at the collected items of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._environment = process.selection.environment
        self._everything = self._environment.closure(frozenset(self._environment.services))
        self._missing: list[MissingFixtureError] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark what the environment cannot or must not run as skipped, with the reason; note what the rest needs."""
        for item in items:
            markers = list(item.iter_markers())
            try:
                required = self._required(item, [marker for marker in markers if marker.name == "requires"])
            except UnknownCapabilityError as error:
                if self._process.is_worker:  # which cannot end the run: the test itself says it
                    item.stash[MISSING] = error
                    continue
                raise pytest.UsageError(str(error)) from None
            destructive = any(marker.name == "destructive" for marker in markers)
            if reason := self._why_not(required, destructive=destructive):
                item.add_marker(pytest.mark.skip(reason=reason))
                continue
            if destructive:
                item.stash[DESTRUCTIVE] = True
            if not any(marker.name == "skip" for marker in markers):
                self._note_needs(item, required)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find the fixtures that nobody provides; have started what the tests need that are left."""
        asking: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            if needed := item.stash.get(_NEEDED, None):
                self._process.needed |= needed
            for name in missing_fixtures(item):
                asking.setdefault(name, []).append(item)
        if asking:
            self._note_missing(asking, session.config.rootpath)
        if self._process.needed and not session.config.option.collectonly:
            self._process.session.want(self._process.needed)

    def _note_missing(self, asking: dict[str, list[pytest.Item]], root: Path) -> None:
        providers = list(find_providers(root))
        known = {provider.name for provider in providers}
        for name, items in asking.items():
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
        """List what nobody provides, under the number of collected items."""
        return [f"error: {error}" for error in self._missing]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List it again where it was not seen: `-q` hides the lines after collection, xdist collects elsewhere."""
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

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail what asks for a missing fixture, before `skip` or `xfail` can hide it; skip what is optional and down."""
        __tracebackhide__ = True
        if (error := item.stash.get(MISSING, None)) is not None:
            raise error
        if item.stash.get(DESTRUCTIVE, False) and (reason := self._what_the_target_says()):
            pytest.skip(reason)
        for service in sorted(item.stash.get(REQUIRED, ())):
            session = self._process.session
            session.start(frozenset({service}))
            ping = session.ping([service])[service]
            if not ping.is_up and not session.environment.services[service].is_required:
                pytest.skip(self._because(service, ping))

    def _what_the_target_says(self) -> str:
        """Return why a destructive test must not run, by the target's own word; what we started ourselves is ours."""
        environment = self._environment
        remote = [name for name, spec in environment.services.items() if spec.source is Source.REMOTE]
        if not remote or environment.twin is not None:
            return ""
        session = self._process.session
        session.start(frozenset(remote))
        told = {
            name: ping.identity["environment"]
            for name, ping in session.ping(remote).items()
            if "environment" in ping.identity
        }
        for name, word in told.items():
            if word != environment.name:
                return f"destructive, and {name} says that it is {word}, not {environment.name}"
        return "" if told else f"destructive, and nothing in {environment.label} says which environment it is"

    def _because(self, service: str, ping: Ping) -> str:
        state = "absent" if ping.status is PingStatus.ABSENT else f"optional and {ping.status}: {ping.detail}"
        return f"{service} is {state} in {self._environment.label}"

    def _note_needs(self, item: pytest.Item, required: list[str]) -> None:
        environment = self._environment
        services = frozenset(environment.providers[capability] for capability in required)
        if services:
            item.stash[REQUIRED] = services
        fixtures = self._process.selection.contract_fixtures.intersection(getattr(item, "fixturenames", ()))
        if not fixtures and not services:
            return
        item.stash[NEEDS] = True
        if fixtures - {"real_llm"}:
            item.stash[_NEEDED] = self._everything
        else:
            llm = {"llm"} & environment.services.keys() if fixtures else set()
            item.stash[_NEEDED] = environment.closure(services | llm)

    def _required(self, item: pytest.Item, markers: list[pytest.Mark]) -> list[str]:
        """Return the capabilities that an item requires.

        Raises:
            UnknownCapabilityError: no environment declares one, which would skip the test for ever; or a marker does not
                name any.
        """
        required: list[str] = []
        for marker in markers:
            if not marker.args or marker.kwargs or not all(isinstance(word, str) for word in marker.args):
                how = 'Write @pytest.mark.requires("database", "redis")'
                raise UnknownCapabilityError(item.nodeid, "capabilities by a marker that does not name them", how)
            required += marker.args
        for capability in required:
            if capability not in self._environment.providers:
                known = _WELL_KNOWN | _declared_capabilities(self._process.selection.directory)
                if capability not in known:
                    what = f"{capability!r}, which no environment declares"
                    raise UnknownCapabilityError(item.nodeid, what, nearest(capability, known))
        return required

    def _why_not(self, required: list[str], *, destructive: bool) -> str:
        environment = self._environment
        for capability in required:
            service = environment.providers.get(capability)
            if service is None:
                return f"{capability} is not declared in {environment.label} ({environment.file.name})"
            if environment.services[service].source is Source.ABSENT:
                return f"{capability} is absent in {environment.label} ({environment.file.name})"
        return self._why_not_destructive() if destructive else ""

    def _why_not_destructive(self) -> str:
        environment = self._environment
        if environment.production:
            return f"destructive, and {environment.label} is production: refused whatever the flags"
        if not environment.destructive:
            return f"destructive, and {environment.file.name} does not say destructive = true"
        if not self._process.selection.destructive:
            return "destructive: runs only with --matrix-destructive"
        return ""


def missing_fixtures(item: pytest.Item) -> Iterator[str]:
    """Yield the fixtures that an item asks for, directly or through others, and that nobody above it provides."""
    info = getattr(item, "_fixtureinfo", None)  # no public name; held against pytest's own answer by a test
    if info is None:
        return
    callspec = getattr(item, "callspec", None)
    given = set(callspec.params) if callspec is not None else set()
    for name in info.names_closure:
        if name != "request" and name not in info.name2fixturedefs and name not in given:
            yield name


def _declared_capabilities(directory: Path) -> frozenset[str]:
    found: set[str] = set()
    for name in declared_names(directory):
        try:
            found |= load_file(directory / f"{name}.toml", _AnyVariable(os.environ)).providers.keys()
        except EnvmatrixError:
            continue  # that environment's own run says what is wrong with its file
    return frozenset(found)


class _AnyVariable(dict[str, str]):
    """Variables of which none is unset: capabilities do not depend on their values."""

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]  # always something
        return super().get(name) or default or "http://localhost"


def _nearest(name: str, asking: Path, providers: list[Provider], root: Path) -> list[str]:
    """Return where fixtures of that name are defined, nearest to the asking file first, at most three."""

    def distance(provider: Provider) -> tuple[int, Provider]:
        common = os.path.commonpath([asking.parent, provider.file.parent])
        return len(asking.parent.parts) + len(provider.file.parent.parts) - 2 * len(Path(common).parts), provider

    same = sorted((provider for provider in providers if provider.name == name), key=distance)[:3]
    return [f"{os.path.relpath(provider.file, root)}:{provider.line}" for provider in same]
