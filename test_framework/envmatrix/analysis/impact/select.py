"""Select the tests that a diff may change, in each environment, each with the way that leads there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from envmatrix.analysis.impact.changes import ChangeKind, FileChange
from envmatrix.analysis.impact.contract import FieldChange, VersionBump, bump, field_changes
from envmatrix.analysis.impact.data_files import concerns_everything, concerns_nothing, is_cache, mentions
from envmatrix.analysis.impact.environments import DeclaredEnvironment, compare_declarations
from envmatrix.analysis.impact.evidence import Evidence
from envmatrix.analysis.impact.project_source import ProjectSource, is_conftest
from envmatrix.analysis.impact.reachability import Node, Reachability, Step
from envmatrix.analysis.impact.seen import SeenTests
from envmatrix.analysis.impact.selection import Because, SelectedTests
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.parts.file_parts import TOP, FilePart

_UNREACHED = "and could not be mapped: no test and no environment reaches it"
_OWN_STEPS = {"used by": "which it uses", "imported by": "which it imports"}
"""How a step leads to a test → the words for it below the test's own name."""


@dataclass(frozen=True)
class Impact:
    """The tests that a diff may change."""

    selected: Mapping[str, Mapping[str, Because]]
    """Environment → node id, without parameters → reason. `NOWHERE` for tests that are in no suite."""
    tests: Mapping[str, Sequence[str]]
    """Environment → all tests that it has."""
    everything: tuple[Because, ...] = ()
    """Reasons to select every test; empty if tests could be told apart."""
    nothing: tuple[str, ...] = ()
    """Changes that concern no test, each with the reason."""
    fields: tuple[FieldChange, ...] = ()
    """Fields of contracts that differ."""
    bump: VersionBump | None = None
    """The version that they call for."""


def impact(
    changes: Iterable[FileChange],
    tree: ProjectSource,
    places: Sequence[DeclaredEnvironment],
    kinds: Collection[ChangeKind] = frozenset(ChangeKind),
    evidence: Mapping[str, Evidence] = MappingProxyType({}),
) -> Impact:
    """Return the tests that a diff may change; a change that cannot be mapped may change every test.

    Args:
        changes: The files that differ.
        tree: The project as it is now.
        places: Its environments.
        kinds: The kinds of change that count.
        evidence: Environment → what its tests were seen to run at the commit that the changes are since.
    """
    changes = sorted((each for each in changes if not is_cache(each.path)), key=lambda change: change.path)
    search = _Search(tree, places, changes, frozenset(kinds), evidence)
    for change in changes:
        search.follow(change)
    for place in places:
        if place.unread and changes:
            search.columns.select_column(place.name, (f"what is declared cannot be read: {place.unread}",))
    fields = tuple(search.fields)
    return Impact(
        search.columns.selected,
        search.columns.nodeids,
        tuple(search.everything.values()),
        tuple(search.nothing),
        fields,
        bump(fields, changes, tree.contract_version),
    )


class _Search:
    """The search for tests. Its steps return the number of hits: a change without any cannot be mapped."""

    def __init__(
        self,
        tree: ProjectSource,
        places: Sequence[DeclaredEnvironment],
        changes: Sequence[FileChange],
        kinds: frozenset[ChangeKind],
        evidence: Mapping[str, Evidence],
    ) -> None:
        self.columns = SelectedTests(tree, places)
        self.everything: dict[FileChange, Because] = {}
        self.nothing: list[str] = []
        self.fields: list[FieldChange] = []
        self._tree = tree
        self._places = places
        self._change = FileChange("", "", None, None)
        self._kinds = kinds
        self._evidence = evidence
        self._gone = tuple(change.old_path for change in changes if change.is_gone and change.old_path.endswith(".py"))

    def follow(self, change: FileChange) -> None:
        """Select what one change may change."""
        self._change = change
        if self._is_declaration(change):
            if ChangeKind.ENVIRONMENTS in self._kinds:
                self._declaration(change)
        elif change.path.endswith(".py"):
            self._contract_fields(change)
            self._python(change)
        elif ChangeKind.CODE in self._kinds:
            self._data(change)

    # Declarations

    def _is_declaration(self, change: FileChange) -> bool:
        """Return whether it declares an environment, or did."""
        files = [file for place in self._places for file in place.files]
        directories = {place.files[0].rpartition("/")[0] for place in self._places}
        return change.path in files or (change.path.endswith(".toml") and change.path.rpartition("/")[0] in directories)

    def _declaration(self, change: FileChange) -> None:
        touched = compare_declarations(change.old, change.new)
        places = [place for place in self._places if change.path in place.files]
        if touched.nothing and not change.is_renamed:
            self.nothing.append(f"{change}: only in its layout and comments")
        elif not places:
            self.nothing.append(f"{change}: no environment is declared there now")
        for place in places:
            services = ", ".join(sorted(touched.services))
            if touched.whole or change.is_renamed or not touched.services <= place.references.keys():
                self.columns.select_column(place.name, (f"{change}: {touched.whole or services}",))
            elif services:
                self.columns.select_users(place, touched.services, (f"{change} in {services}",))

    # Files that are no Python

    def _data(self, change: FileChange) -> None:
        """Follow a file to the parts that name it."""
        if why := concerns_everything(change.path):
            self._everything((f"{change}: {why}",))
            return
        documentation = concerns_nothing(change.path)
        files = [path for path in self._tree.modules if not documentation or self._tree.is_beside_tests(path)]
        sources = ((path, self._tree.source(path)) for path in files)
        lines: dict[str, list[int]] = defaultdict(list)
        for naming in mentions(change.paths, sources):
            lines[naming.path].append(naming.line)
        hits = sum(self._lines(path, at, (str(change), f"named in {path}")) for path, at in lines.items())
        hits += sum(self._started(path, (str(change),)) for path in change.paths)
        if not documentation:
            self._hidden(change)
        elif not hits:
            self.nothing.append(f"{change}: {documentation}")
        if not hits and not documentation:
            self._everything((str(change), "and could not be mapped: nothing names it"))

    def _lines(self, path: str, lines: Sequence[int], why: Because) -> int:
        """Follow the parts of a file that some lines of it are in."""
        read = self._flow.read(path)
        return self._spread([Node(path, read.at(line).name) for line in lines], why) or self._spread(
            [Node(path, TOP)], why
        )

    # Python files

    def _python(self, change: FileChange) -> None:
        parts, is_same_file = change.parts, change.old is not None and change.new is not None and not change.is_renamed
        if is_same_file and parts.nothing:
            self.nothing.append(f"{change}: only in its layout and comments")
        elif is_same_file and not parts.rest:
            self._parts(change)
        else:
            self._file(change)

    def _file(self, change: FileChange) -> None:
        """Follow a file as a whole."""
        is_shared = is_conftest(change.path) or change.path in self._tree.plugins
        if (ChangeKind.FIXTURES if is_shared else ChangeKind.CODE) not in self._kinds:
            return
        why = concerns_everything(change.path, self._tree.modules)
        if why:
            self._everything((f"{change}: {why}",))
        hits = self._spread([Node(path, TOP) for path in change.paths], (str(change),))
        if not self._tree.holds_tests_or_fixtures(change.path):
            self._hidden(change)
        if hits or is_shared or why:
            return
        if change.new is None and _is_test_file(change.path):
            self.nothing.append(f"{change}: its tests are gone")
        elif not (change.new or b"").strip() and not (change.old or b"").strip():
            self.nothing.append(f"{change}: it is empty")
        else:
            self._everything((str(change), _UNREACHED))

    def _parts(self, change: FileChange) -> None:
        """Follow the functions and values that differ, each by itself."""
        path, parts = change.path, change.parts
        for name in sorted(parts.changed | parts.removed):
            is_gone, is_new = name in parts.removed, name not in parts.old.parts
            part = (parts.old if is_gone else parts.new).parts[name]
            if (ChangeKind.FIXTURES if part.fixture else ChangeKind.CODE) not in self._kinds:
                continue
            what = f"fixture {part.fixture}" if part.fixture else name
            why = (f"{what} of {path} {'is deleted' if is_gone else 'is new' if is_new else 'is changed'}",)
            if part.fixture and (is_gone or is_new or parts.old.parts[name].provides != part.provides):
                self._askers_by_name(path, {part, parts.old.parts.get(name, part)}, why)
            self._weigh(change, name, why)
            seeds = [Node(path, name)]
            if is_new:
                seeds += self._flow.importing(seeds[0])
            hits = self._spread(seeds, why)
            if not (hits or part.fixture or part.is_test or (path, part.line) in self._tree.tests_by_place):
                # Nothing names it: it is used in a way that cannot be seen, by whoever uses the file.
                hits = self._spread([Node(path, TOP)], (*why, "and no tested code names it"))
                if not hits:
                    self._everything((*why, _UNREACHED))
            self.columns.cleared = {}
        if ChangeKind.CODE in self._kinds and not self._tree.holds_tests_or_fixtures(path):
            self._hidden(change)

    def _weigh(self, change: FileChange, name: str, why: Because) -> None:
        """Select the tests that were seen to run a function, and clear those that were seen not to."""
        for place, seen in self._seen.items():
            tests = seen.of(change, name, why)
            if tests is not None:
                for test in tests.keys() & self.columns.in_suites:
                    self.columns.select_in(place, (test,), tests[test])
                self.columns.cleared[place] = self._evidence[place].ran.keys() - tests.keys()

    @cached_property
    def _seen(self) -> Mapping[str, SeenTests]:
        return {
            place: SeenTests(evidence, self._flow, self._tree)
            for place, evidence in self._evidence.items()
            if place in self.columns.tests
        }

    def _askers_by_name(self, path: str, parts: Collection[FilePart], why: Because) -> None:
        """Select the tests that ask for a fixture that came or went: another one may answer now, or none."""
        names = {part.fixture for part in parts}
        is_autouse = any(part.is_autouse for part in parts)
        for test in self._tree.tests_below(path):
            if is_autouse or any(request.name in names for request in self._tree.index.requests(test)):
                self.columns.select(test, why)

    def _contract_fields(self, change: FileChange) -> None:
        fixtures_of: dict[str, list[str]] = defaultdict(list)
        for fixture, (path, name) in self._tree.contracts.items():
            if path in change.paths:
                fixtures_of[name].append(fixture)
        if not fixtures_of or ChangeKind.CONTRACT not in self._kinds:
            return
        field_changes_here = list(field_changes(change, fixtures_of))
        self.fields += field_changes_here
        if breaking := [each for each in field_changes_here if each.is_breaking]:
            self._everything((f"{breaking[0]}: what keeps to the contract as it was may break",))
            return
        for each in field_changes_here:
            for test in self._tree.index.tests:
                if any(request.name in fixtures_of[each.contract] for request in self._tree.index.requests(test)):
                    self.columns.select(test, (str(each), "a field of what it asks for"))

    # From file to file

    def _spread(self, seeds: Iterable[Node], why: Because) -> int:
        """Select all that some parts of files reach, themselves included."""
        hits = 0
        for node, way in self._flow.reach(seeds):
            hits += self._arrive(node, (*why, *map(str, way)), (*why, *_as_its_own(way)))
            if self._change in self.everything:
                break
        return hits

    def _arrive(self, node: Node, why: Because, why_a_test: Because) -> int:
        """Select the tests that depend on a part; return the number of hits."""
        path, name = node
        hits = self._started(path, why)
        if name == TOP:
            return hits + self._arrive_at_file(path, why)
        part = self._flow.part(node)
        if part is None:
            return hits
        if part.kind == "class":
            tests = [test for test in self._tree.tests_by_file.get(path, ()) if name in _holders(test)]
            for test in tests:
                self.columns.select(test, why)
            return hits + len(tests)
        place = path, part.line
        for test in self._tree.tests_by_place.get(place, ()):
            self.columns.select(test, why_a_test)
            hits += 1
        if place in self._tree.fixture_places:
            hits += 1
            for test, through in self._tree.askers.get(place, ()):
                self.columns.select(test, (*why, *through))
            for test, unread in self._tree.unknown_askers:
                self.columns.select(test, (*why, f"and what this test asks for cannot be read: {unread}"))
        return hits

    def _arrive_at_file(self, path: str, why: Because) -> int:
        hits = 0
        if path in self._tree.plugins:
            self._everything((*why, "which pytest loads for every test"))
            hits += 1
        elif is_conftest(path):
            why = (*why, "which pytest loads for all tests below it")
            hits += 1
        for test in self._tree.tests_below(path):
            self.columns.select(test, why)
            hits += 1
        return hits

    def _started(self, path: str, why: Because) -> int:
        """Select the tests that need a service which starts from a file."""
        hits = 0
        for place in self._places:
            for start in place.starts:
                if path in start.files:
                    which = (*why, f"which {start.by} starts as {start.service}")
                    self.columns.select_users(place, frozenset({start.service}), which)
                    hits += 1
        return hits

    def _hidden(self, change: FileChange) -> None:
        """Select the tests that need a service whose command names no file: the change may be in its code."""
        for place in self._places:
            for start in place.starts:
                if not start.files:
                    which = (
                        str(change),
                        f"and what `{start.command}` of {start.by} runs as {start.service} cannot be seen",
                    )
                    self.columns.select_users(place, frozenset({start.service}), which)

    @cached_property
    def _flow(self) -> Reachability:
        return Reachability(self._tree, self._gone)

    def _everything(self, why: Because) -> None:
        if self._change not in self.everything:
            self.everything[self._change] = why
            self.columns.select_all(why)


def _as_its_own(way: tuple[Step, ...]) -> Because:
    """Return the way to a test itself, whose name need not be in the last step: many tests then share one reason."""
    own = _OWN_STEPS.get(way[-1].how) if way else None
    return (*map(str, way[:-1]), own) if own is not None else tuple(map(str, way))


def _holders(test: Test) -> Collection[str]:
    """Return the classes that a test is in, each with those around it."""
    return {".".join(test.classes[: depth + 1]) for depth in range(len(test.classes))}


def _is_test_file(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith("test_") or name.endswith("_test.py")
