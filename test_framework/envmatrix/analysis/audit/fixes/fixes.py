"""Fixes that are certain: a fixture brought into sight, a read rewritten, a useless `# noqa` taken out.

Each fixture is moved, or imported, with the fixtures that it asks for and the imports that it uses. Where that is not
possible the finding stays, with the reason.
"""

from __future__ import annotations

import builtins
import functools
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.fixes.edits import Edit, read
from envmatrix.analysis.audit.fixes.reads import LINE, annotated, rewrite_read
from envmatrix.analysis.audit.rules.contracts import Contracts, is_as_made, is_stand_in
from envmatrix.analysis.audit.rules.nearest_provider import NearestProviders, VisibilityFix
from envmatrix.analysis.audit.rules.survey import AffectedTest, RequestGroup, Survey
from envmatrix.analysis.audit.summaries.summary import FixtureRef, RequestSite
from envmatrix.analysis.index.answers import Found, Missing
from envmatrix.analysis.index.decorators import Decorators
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.project.settings import PytestSettings
from envmatrix.analysis.source.facts import Function, Import, Read
from envmatrix.exceptions import CannotFixError, MissingExtraError

_NOQA = re.compile(r"\s*#\s*noqa:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)", re.IGNORECASE)
_BOM = "\ufeff"
_QUOTED = re.compile(r"""["'](\w+)["']""")


_Place: TypeAlias = tuple[str, int, int]


@dataclass(slots=True)
class Fixes:
    """The edits that fix findings, and the findings that are not fixed."""

    edits: tuple[Edit, ...] = ()
    fixed: tuple[AuditFinding, ...] = ()
    refused: tuple[tuple[AuditFinding, str], ...] = ()
    """Findings that are not fixed, each with the reason, where there is more to say than the finding's hint."""


def compute_fixes(index: Index, findings: Sequence[AuditFinding]) -> Fixes:
    """Compute the edits that fix findings; nothing is written.

    Raises:
        MissingExtraError: libcst is not installed.
    """
    work = _Work(index)
    fixed: list[AuditFinding] = []
    refused: list[tuple[AuditFinding, str]] = []
    for together, mend in _tasks(index, findings):
        texts_before = dict(work.texts)
        try:
            mend(work)
        except CannotFixError as error:
            work.texts = texts_before
            refused += ((finding, str(error)) for finding in together)
        else:
            fixed += together
    return Fixes(tuple(work.edits()), tuple(fixed), tuple(refused))


def _tasks(
    index: Index, findings: Sequence[AuditFinding]
) -> Iterator[tuple[list[AuditFinding], Callable[[_Work], None]]]:
    """Yield findings that one change fixes, and the change: a fixture missing in many places is moved once."""
    yield from _misread(index, findings)  # while places are what they were
    survey = Survey.of(index)
    groups = _groups(survey, findings)
    nearest = NearestProviders(index, survey, {name for group in groups.values() for name in _names(survey, group)})
    missing: dict[str, tuple[list[AuditFinding], RequestGroup]] = {}
    for finding in findings:
        if finding.code == "EM199":
            yield [finding], functools.partial(_Work.drop_noqa, finding=finding)
        elif (group := groups.get(_place(finding))) is not None:
            together, all_of_them = missing.setdefault(group.request.name, ([], RequestGroup(group.request)))
            together.append(finding)
            all_of_them.tests += group.tests
    for together, group in missing.values():
        if nearest.mend(group) is not None:
            places = frozenset(map(_place, together))
            yield together, functools.partial(_Work.bring, group=group, nearest=nearest, places=places)


def _misread(
    index: Index, findings: Sequence[AuditFinding]
) -> Iterator[tuple[list[AuditFinding], Callable[[_Work], None]]]:
    """Yield the findings of reads in the wrong way (EM209), the last in a file first, and their changes."""
    places: dict[_Place, list[AuditFinding]] = defaultdict(list)
    for finding in findings:
        if finding.code == "EM209":
            places[_place(finding)].append(finding)
    if not places:
        return
    contracts = Contracts(index)
    readers: dict[_Place, list[tuple[Test, Read]]] = defaultdict(list)
    for test in index.tests:
        for each in test.function.reads:
            readers[test.defined_in, each.line, each.column].append((test, each))
    for place, together in sorted(places.items(), reverse=True):
        yield together, functools.partial(_Work.rewrite, path=place[0], readers=readers[place], contracts=contracts)


def _place(finding: AuditFinding) -> _Place:
    return finding.path, finding.line, finding.column


def _groups(survey: Survey, findings: Sequence[AuditFinding]) -> dict[_Place, RequestGroup]:
    wanted = {_place(finding) for finding in findings if finding.code == "EM101"}
    missing = survey.missing.values()
    by_place = {(group.request.path, group.request.line, group.request.column): group for group in missing}
    return {place: group for place, group in by_place.items() if place in wanted}


def _names(survey: Survey, group: RequestGroup) -> Iterator[str]:
    """Yield the missing name, and every name that its providers may ask for in turn."""
    yield group.request.name
    yield from (need.name for fixture in survey.fixtures for need in fixture.needs)


@dataclass(slots=True)
class _Work:
    """The texts of files after the changes so far."""

    index: Index
    texts: dict[str, str] = field(default_factory=dict)
    _originals: dict[str, str | None] = field(default_factory=dict)
    """The texts as first read: a change since then is not overwritten."""

    def edits(self) -> Iterator[Edit]:
        for path, text in sorted(self.texts.items()):
            before = self._original(path)
            mark = _BOM if before is not None and before.startswith(_BOM) else ""  # libcst drops it
            if before != (after := mark + text.removeprefix(_BOM)):
                yield Edit(path, before, after)

    def _original(self, path: str) -> str | None:
        if path not in self._originals:
            self._originals[path] = read(self.index.root, path)
        return self._originals[path]

    def _text(self, path: str) -> str:
        return self.texts[path] if path in self.texts else self._original(path) or ""

    def drop_noqa(self, finding: AuditFinding) -> None:
        lines = LINE.findall(self._text(finding.path))
        line = lines[finding.line - 1]
        comment = _NOQA.search(line)
        if comment is None:
            raise CannotFixError("the comment names no code")
        codes = [code for code in re.split(r"[,\s]+", comment["codes"]) if code.upper() != finding.noqa]
        rest = comment[0][: comment.start("codes") - comment.start()] + ", ".join(codes) if codes else ""
        lines[finding.line - 1] = line[: comment.start()] + rest + line[comment.end() :]
        self.texts[finding.path] = "".join(lines)

    def rewrite(self, path: str, readers: Sequence[tuple[Test, Read]], contracts: Contracts) -> None:
        """Rewrite a read of a parameter, if every test that it runs for is given the same kind."""
        if not readers:
            raise CannotFixError(
                "it is not read by a test itself, and others may be given something else: mend it by hand"
            )
        _, read = readers[0]
        to, wrong = ("dict", "attribute") if read.how == "attribute" else ("object", "item")
        if read.how != wrong:
            raise CannotFixError("get may fall back on something: mend it by hand")
        for test, _ in readers:
            answer = test.scope.answer(read.parameter) if test.scope else None
            is_given = read.parameter not in test.marks.parametrized and not test.marks.unknown
            if not isinstance(answer, Found) or not is_given or (test.scope and test.scope.supplies(read.parameter)):
                raise CannotFixError(f"{test.nodeid} may be given {read.parameter!r} otherwise: mend it by hand")
            given = contracts.given(answer.fixtures[0]) if answer.fixtures[0].is_certain else None
            if given is None or given.kind != to or read.key not in (given.names or {key.name for key in given.keys}):
                raise CannotFixError(f"{test.nodeid} is not surely given {read.key!r} by a {to}: mend it by hand")
        self.texts[path] = rewrite_read(self._text(path).removeprefix(_BOM), read)

    def bring(self, group: RequestGroup, nearest: NearestProviders, places: frozenset[_Place], depth: int = 0) -> None:
        """Bring the fixture of a group into sight, then the fixtures that it asks for."""
        mend = nearest.mend(group)
        if mend is None or depth > len(self.index.fixtures):
            raise CannotFixError(nearest.hint(group))
        name = group.request.name
        self._refuse_misfit(mend, places)
        if mend.module:
            self._import(mend, name)
        else:
            self._move(mend, name)
        for asked in self._dependencies(mend, group):
            self.bring(asked, nearest, frozenset(), depth + 1)

    def _refuse_misfit(self, mend: VisibilityFix, places: frozenset[_Place]) -> None:
        """Refuse a provider that is no plain fixture, or not what those who ask for it expect."""
        path, provider = mend.provider.path, mend.provider
        bound = (binding for binding in self.index.modules.module(path).body if binding.is_certain)
        function = next(
            (each.to for each in bound if isinstance(each.to, Function) and each.to.line == provider.line), None
        )
        settings = Decorators(self.index.names).fixture(path, function.decorators) if function else None
        if function is None or settings is None or not is_as_made(function):
            raise CannotFixError(f"{provider} is no plain fixture at the top level of its file: {mend.by_hand}")
        if "autouse" in settings:
            raise CannotFixError(f"{provider} is autouse, and would be used by all tests there: {mend.by_hand}")
        if function.shape is not None and is_stand_in(function.shape.type):
            raise CannotFixError(f"{provider} gives a mock: {mend.by_hand}")
        given = set(annotated(self._text(path), provider.line))
        wanted = {name for place in places for name in annotated(self._text(place[0]), *place[1:])}
        if given and wanted - {"Any", "object"} and not given & wanted:
            raise CannotFixError(f"{provider} gives no {', '.join(sorted(wanted))}, which is asked for: {mend.by_hand}")

    def _dependencies(self, mend: VisibilityFix, group: RequestGroup) -> Iterator[RequestGroup]:
        """Yield the requests of a fixture that the tests of a group cannot see either."""
        for fixture in self.index.fixtures:
            if (fixture.path, fixture.line) != (mend.provider.path, mend.provider.line):
                continue
            for need in fixture.needs:
                blind = [test for test in group.tests if self._is_missing(test, need.name)]
                if blind and need.name != fixture.name:
                    asker = FixtureRef.of(fixture)
                    yield RequestGroup(
                        RequestSite(need.name, need.how, fixture.path, need.line, need.column, asker), blind
                    )
            return

    def _is_missing(self, test: AffectedTest, name: str) -> bool:
        scope = self.index.scope_of(test.path, test.nodeid)
        return scope is not None and isinstance(scope.answer(name), Missing)

    def _import(self, mend: VisibilityFix, name: str) -> None:
        if not self._is_surely_found(mend.target, mend.module):
            raise CannotFixError(
                f"pytest may not find {mend.module} from {mend.target}: put it on pythonpath, then {mend.in_words(name)}"
            )
        text = self._text(mend.target)
        if f"from {mend.module} import {name}" not in text:
            self.texts[mend.target] = _moves().with_imports(text, [(name, Import(mend.module, name))], "  # noqa: F401")

    def _is_surely_found(self, target: str, module: str) -> bool:
        """Return whether a run finds a module however pytest is started: only `python -m pytest` adds the working directory."""
        head = module.partition(".")[0]
        file = self.index.find(target, module)
        if file is None or Path(file).is_absolute():
            return file is not None or head in sys.stdlib_module_names
        place = (self.index.root / file.removesuffix("/__init__.py")).parents[module.count(".")]
        settings = PytestSettings.find(self.index.root / target)
        if place in settings.pythonpath or (
            settings.import_mode != "importlib" and place == self._package_root(target)
        ):
            return True
        files = (path for project in self.index.projects for path in (*project.test_files, *project.conftests))
        return any(  # what others import, and do not have beside them, is there
            to.module.partition(".")[0] == head
            and self.index.find(path, head) == self.index.find(target, head)
            and self._package_root(path) != place
            for path in files
            for to in self.index.modules.module(path).imports
        )

    def _package_root(self, path: str) -> Path:
        """Return the directory that pytest puts on `sys.path` for a file."""
        directory = (self.index.root / path).parent
        while (directory / "__init__.py").exists():
            directory = directory.parent
        return directory

    def _move(self, mend: VisibilityFix, name: str) -> None:
        moves, source = _moves(), mend.provider.path
        taken = moves.take(self._original(source) or "", mend.provider.line)
        if taken is None or name not in {taken.name, *_QUOTED.findall(taken.decorators)}:
            raise CannotFixError(f"{mend.provider} is no plain fixture at the top level of its file: move it by hand")
        if source in self.texts:  # lines have moved: find it again by its text
            text = self._text(source)
            line = _line_of(text, taken.name)
            again = moves.take(text, line) if line else None
            if again is None:
                return  # it was moved already
            taken = again
        if taken.is_used_by_rest or self._is_imported(source, taken.name):
            raise CannotFixError(f"{mend.provider} is used by its name, or defined again: move it by hand")
        used = list(self._used(mend.provider.path, taken.names))
        imports = list(self._needed(mend, used))
        self.texts[source] = moves.without_unused(taken.rest, used)
        self.texts[mend.target] = moves.put(self._text(mend.target), taken, imports)

    def _is_imported(self, source: str, name: str) -> bool:
        """Return whether another file of the tree imports a name from this one."""
        return any(
            to.attribute in {name, "*"} and self.index.find(path, to.module) == source
            for path in self.index.modules
            if path != source and not path.startswith("/")
            for to in self.index.modules.module(path).imports
        )

    def _used(self, path: str, names: Iterable[str]) -> Iterator[tuple[str, Import]]:
        """Yield the imports of a file behind some names."""
        bound = self.index.names.namespace(path).names
        for name in sorted(names):
            if name in bound:
                first, *others = bound[name]
                to = first.binding.to
                if others or first.path != path or not first.binding.is_certain or not isinstance(to, Import):
                    raise CannotFixError(f"it uses {name} of {path}: move both by hand")
                yield name, to
            elif name.startswith("__") or not hasattr(builtins, name):
                raise CannotFixError(f"it uses {name}, which may be something else outside of {path}: move it by hand")

    def _needed(self, mend: VisibilityFix, used: Iterable[tuple[str, Import]]) -> Iterator[tuple[str, Import]]:
        """Yield the imports that a moved function needs where it goes."""
        target = self.index.names.namespace(mend.target).names if self._original(mend.target) is not None else {}
        for name, to in used:
            here, there = (self.index.find(path, to.module) for path in (mend.provider.path, mend.target))
            if to.module.startswith(".") or here != there or not self._is_surely_found(mend.target, to.module):
                raise CannotFixError(
                    f"pytest may not find {to.module} of {mend.provider.path} from {mend.target}: move it by hand"
                )
            if name in target:
                if target[name][0].binding.to != to:
                    raise CannotFixError(f"{name} is something else in {mend.target}: move it by hand")
            elif f"import {name}" not in self.texts.get(mend.target, ""):
                yield name, to


def _moves() -> ModuleType:
    try:
        from envmatrix.analysis.audit.fixes import moves
    except ModuleNotFoundError:
        raise MissingExtraError("libcst", "fix") from None
    return moves


def _line_of(text: str, name: str) -> int:
    found = re.search(rf"^(?:async )?def {re.escape(name)}\b", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 0
