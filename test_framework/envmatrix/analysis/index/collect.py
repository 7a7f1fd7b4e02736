"""Collect the fixtures and tests of a file, as pytest would, from facts."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from envmatrix.analysis.index.answers import Fixture, Need, Outdated
from envmatrix.analysis.index.classes import Classes, Lineage
from envmatrix.analysis.index.decorators import NONE, Decorators, Marks, is_static, requested
from envmatrix.analysis.source.expressions import dotted
from envmatrix.analysis.source.facts import (
    Assigned,
    Binding,
    Call,
    Class,
    Constant,
    Deleted,
    Expression,
    Function,
    Import,
    Name,
    Sequence,
)
from envmatrix.analysis.source.names import Bound, Definition, External, Lost, Names

_CONSTRUCTED = ("dataclass", "define", "attrs", "attr.s", "frozen", "mutable")
"""Decorators that give a class an `__init__`."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Names of tests: prefixes, or patterns where they have `*`, `?` or `[`."""

    classes: tuple[str, ...] = ("Test",)
    functions: tuple[str, ...] = ("test",)

    def is_class(self, name: str) -> bool:
        """Return whether a class of this name is collected."""
        return _matches(name, self.classes)

    def is_function(self, name: str) -> bool:
        """Return whether a function of this name is a test."""
        return _matches(name, self.functions)


@dataclass(slots=True)
class Provided:
    """The fixtures of one file or class by name, the winning one first."""

    fixtures: dict[str, list[Fixture]]
    autouse: tuple[str, ...]
    unnamed: str
    """Place of a fixture with a computed name, which may be any; empty for none."""


class CollectedTest(msgspec.Struct, frozen=True):
    """A function that pytest runs as a test."""

    name: str
    path: str
    """Path of the file that defines it."""
    function: Function
    marks: Marks
    """The marks of its own decorators and of its classes."""
    needs: tuple[Need, ...]


class CollectedClass(msgspec.Struct, frozen=True):
    """A class that pytest collects."""

    name: str
    lineage: Lineage
    tests: tuple[CollectedTest, ...]
    classes: tuple[CollectedClass, ...]


class Collector:
    """Collects fixtures and tests from facts."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._decorators = Decorators(names)
        self._classes = Classes(names)
        self._class_marks: dict[int, Marks] = {}

    def of_module(self, path: str, holder: str, plugin: str = "") -> Provided:
        """Return the fixtures that a file defines or imports."""
        names = self._names.namespace(path).names
        return self._provided(names, holder, plugin, in_class=False)

    def of_class(self, lineage: Lineage, holder: str, plugin: str = "") -> Provided:
        """Return the fixtures of a class, inherited ones too."""
        members = {name: [bound] for name, bound in lineage.members.items()}
        return self._provided(members, holder, plugin, in_class=True)

    def of_plugin_class(self, path: str, node: Class, plugin: str) -> Provided:
        """Return the fixtures of a class that a plugin may register; only pytest's own are certain."""
        provided = self.of_class(self._classes.lineage(path, node), "", plugin)
        for fixtures in provided.fixtures.values():
            fixtures[:] = [replace(fixture, is_certain=plugin == "pytest") for fixture in fixtures]
        return provided

    def _provided(self, names: Mapping[str, list[Bound]], holder: str, plugin: str, *, in_class: bool) -> Provided:
        provided = Provided({}, (), "")
        for attribute in sorted(names):  # as dir() gives them: the later wins where two have one name
            candidates = names[attribute]
            if len(candidates) == 1 and _is_no_fixture(candidates[0].binding.to):
                continue
            fixture = self._fixture(attribute, candidates, holder, plugin, in_class=in_class)
            if fixture is None:
                continue
            if not fixture.name:
                provided.unnamed = provided.unnamed or f"{fixture.path}:{fixture.line}"
                continue
            provided.fixtures.setdefault(fixture.name, []).insert(0, fixture)
            if fixture.is_autouse:
                provided.autouse += (fixture.name,)
        return provided

    def _fixture(
        self, attribute: str, candidates: list[Bound], holder: str, plugin: str, *, in_class: bool
    ) -> Fixture | None:
        fixtures: list[Fixture] = []
        for bound in candidates:
            made = self._definition(attribute, bound, holder, plugin, in_class=in_class)
            if made is not None:
                fixtures.append(made)
        if not fixtures:
            return None
        is_certain = candidates[0].binding.is_certain or len(fixtures) == len(candidates) > 1
        if not is_certain or len(fixtures) < len(candidates):
            return replace(fixtures[0], is_certain=False)
        return fixtures[0]

    def _definition(self, attribute: str, bound: Bound, holder: str, plugin: str, *, in_class: bool) -> Fixture | None:
        """Return the fixture to which a name is bound; None for anything else."""
        match bound.binding.to:
            case Function(decorators=()) | Class() | Deleted():
                return None
            case Import() | Assigned(value=Name()):
                target = self._names.follow(bound, skim=True)
                if not isinstance(target, Definition) or isinstance(target.binding.to, Import):
                    return None
                where, binding = target.path, target.binding
            case _:
                where, binding = bound.path, bound.binding
        function: Function | None = None
        match binding.to:
            case Function(decorators=decorators) as function:
                settings = self._decorators.fixture(where, decorators) if decorators else None
            case Assigned(value=value):
                made = self._decorators.made_fixture(where, value)
                if made is None:
                    return None
                settings, wrapped = made
                target = self._names.resolve(where, wrapped) if wrapped else Lost("")
                if isinstance(target, Definition) and isinstance(target.binding.to, Function):
                    where, function = target.path, target.binding.to
            case _:
                return None
        if settings is None:
            return None
        marks = self._decorators.marks(where, function.decorators) if function else NONE
        return Fixture(
            name=_name(settings.get("name"), attribute),
            path=where,
            line=function.line if function else binding.line,
            column=function.column if function else binding.column,
            function=function,
            scope=_scope(settings.get("scope")),
            is_autouse=settings.get("autouse", Constant(False)) not in {Constant(False), Constant(None)},
            has_params=settings.get("params", Constant(None)) != Constant(None),
            holder=holder,
            plugin=plugin,
            is_certain=True,
            needs=_needs(function, marks, in_class=in_class) if function else (),
            doubt=marks.unknown,
            loop_scope=_text(settings.get("loop_scope")) if settings[""] == Name("pytest_asyncio.fixture") else None,
            outdated=tuple(self._outdated(where, settings, function, in_class=in_class)),
        )

    def _outdated(
        self, path: str, settings: Mapping[str, Expression], function: Function | None, *, in_class: bool
    ) -> Iterator[Outdated]:
        if settings[""] == Name("pytest.yield_fixture"):
            yield "yield"
        if function is None:
            return
        if self._decorators.is_marked(path, function.decorators):
            yield "mark"
        bound = {Name("staticmethod"), Name("classmethod")}
        if in_class and _scope(settings.get("scope")) not in {"", "function"} and bound.isdisjoint(function.decorators):
            yield "method"

    def doubt(self, bound: Bound) -> str:
        """Return why a name that is bound to no fixture may be one after all; empty if it cannot be."""
        target: object = Definition(bound.path, bound.binding)
        if isinstance(bound.binding.to, Import) or isinstance(getattr(bound.binding.to, "value", None), Name):
            target = self._names.follow(bound, skim=False)
        match target:
            case Lost() if isinstance(bound.binding.to, Import):
                return f"{bound.path}:{bound.binding.line} imports it from where nothing can be read"
            case Definition(path=path, binding=Binding(line=line, to=Assigned(value=Call()))):
                return f"{path}:{line} makes it by a call that is not followed"
            case Definition(path=path, binding=Binding(line=line, to=Function(decorators=decorators))):
                name = self._decorators.opaque(path, decorators)
                return f"@{name or '…'} at {path}:{line} may make it a fixture" if name else ""
        return ""

    def module_marks(self, path: str) -> Marks:
        """Return the marks that `pytestmark` gives to each test of a file."""
        if "pytestmark" not in self._names.namespace(path).names:
            return NONE
        match self._names.resolve_skimming(path, "pytestmark"):
            case Definition(path=where, binding=binding) if isinstance(binding.to, Assigned):
                return self._pytestmark(where, binding.to.value)
            case External(dotted=known):
                return self._decorators.marks(path, (Name(known),))
            case _:
                return Marks(unknown="pytestmark")

    def _pytestmark(self, path: str, value: Expression) -> Marks:
        if isinstance(value, Sequence):
            spread = any(getattr(item, "function", None) == Name("*") for item in value.items)
            whole = self._names.literal(path, Name("pytestmark")) if spread else value
            return self._decorators.marks(path, whole.items if isinstance(whole, Sequence) else (whole,))
        return self._decorators.marks(path, (value,))

    def lineage_marks(self, lineage: Lineage) -> Marks:
        """Return the marks that a class and its bases give to each of its tests."""
        if (known := self._class_marks.get(id(lineage))) is None:
            known = NONE
            for kin in lineage.kin:
                own = self._decorators.marks(kin.path, kin.node.decorators)
                known += Marks(own.uses, own.parametrized, own.given, 0, 0, own.unknown, own.masked, own.is_anyio)
                for binding in kin.node.body:
                    if binding.name == "pytestmark" and isinstance(binding.to, Assigned):
                        known += self._pytestmark(kin.path, binding.to.value)
            if lineage.lost:
                known += Marks(unknown=f"the base class {lineage.lost}, which cannot be read")
            self._class_marks[id(lineage)] = known
        return known

    def _patches(self, lineage: Lineage, path: str, name: str) -> Marks:
        """Return the arguments that `mock.patch` on a class adds to a test: one for each class with the test."""
        patches = NONE
        for kin in lineage.kin:
            if not kin.node.decorators:
                continue
            made_of = self._classes.lineage(kin.path, kin.node)
            bound = made_of.members.get(name)
            if bound is not None and bound.path == path:
                patches += Marks(from_left=self._decorators.marks(kin.path, kin.node.decorators).from_left)
        return patches

    def tests(self, path: str, patterns: Patterns) -> Iterator[CollectedTest | CollectedClass]:
        """Yield what pytest collects in a file: its tests, and its classes with theirs."""
        names = self._names.namespace(path).names
        if _is_false(names.get("__test__")):
            return
        for name, candidates in names.items():
            if _is_false(names.get(f"{name}.__test__")):  # set from outside
                continue
            bound = self._collected(candidates[0], is_whole=patterns.is_function(name) or patterns.is_class(name))
            match bound.binding.to:
                case Function() as function if patterns.is_function(name) and not self._is_fixture(
                    bound.path, function
                ):
                    yield self._test(name, bound.path, function, None)
                case Class() as node:
                    if (collected := self._class(name, bound.path, node, patterns)) is not None:
                        yield collected

    def _collected(self, bound: Bound, *, is_whole: bool) -> Bound:
        """Return the target of an imported name; a skim is enough if it is not called like a test."""
        to = bound.binding.to
        if isinstance(to, Import) or (isinstance(to, Assigned) and isinstance(to.value, Name)):
            target = self._names.follow(bound, skim=not is_whole)
            match target:
                case Definition(path=path, binding=Binding(to=Class() as node)) if not is_whole:
                    if self._classes.may_be_tested(path, node):
                        target = self._names.follow(bound, skim=False)
            return Bound(target.path, target.binding) if isinstance(target, Definition) else bound
        return bound

    def _test(self, name: str, path: str, function: Function, lineage: Lineage | None) -> CollectedTest:
        marks = self._decorators.marks(path, function.decorators) if function.decorators else NONE
        if lineage is None:
            return CollectedTest(name, path, function, marks, _needs(function, marks, in_class=False))
        marks += self.lineage_marks(lineage)
        patched = marks + self._patches(lineage, path, name)
        needs = () if lineage.is_unittest else _needs(function, patched, in_class=True)
        return CollectedTest(name, path, function, marks, needs)

    def _is_fixture(self, path: str, function: Function) -> bool:
        return bool(function.decorators) and self._decorators.fixture(path, function.decorators) is not None

    def _class(self, name: str, path: str, node: Class, patterns: Patterns) -> CollectedClass | None:
        if not (patterns.is_class(name) or self._classes.may_be_tested(path, node)):
            return None
        lineage = self._classes.lineage(path, node)
        is_wanted = patterns.is_class(name) or lineage.is_unittest or lineage.is_wanted
        if not is_wanted or not lineage.is_tested or lineage.is_abstract or lineage.has_constructor:
            return None
        if any(dotted(decorator).endswith(_CONSTRUCTED) for decorator in node.decorators):
            return None
        tests: list[CollectedTest] = []
        classes: list[CollectedClass] = []
        for member, bound in lineage.members.items():
            match bound.binding.to:
                case Function() as function:
                    is_test = member.startswith("test") if lineage.is_unittest else patterns.is_function(member)
                    is_test &= Name("property") not in function.decorators
                    if is_test and not self._is_fixture(bound.path, function):
                        tests.append(self._test(member, bound.path, function, lineage))
                case Class() as inner if not lineage.is_unittest:
                    if (collected := self._class(member, bound.path, inner, patterns)) is not None:
                        classes.append(collected)
        return CollectedClass(name, lineage, tuple(tests), tuple(classes))


def _is_no_fixture(to: object) -> bool:
    """Return whether a value is obviously no fixture, as nearly all in a file of tests."""
    if isinstance(to, Function):
        return not to.decorators
    return isinstance(to, Class) or (isinstance(to, Import) and not to.attribute)


def _needs(function: Function, marks: Marks, *, in_class: bool) -> tuple[Need, ...]:
    """Return the requests of a test or fixture."""
    parameters = requested(function, marks, is_method=in_class and not is_static(function))
    needs = tuple(Need(each.name, "argument", each.line, each.column) for each in parameters)
    if function.asks:
        needs += tuple(Need(ask.name, "getfixturevalue", ask.line, ask.column, ask.is_certain) for ask in function.asks)
    return needs


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    if name.startswith(patterns):
        return True
    globs = _globs(patterns)
    return bool(globs) and any(fnmatch.fnmatch(name, pattern) for pattern in globs)


@functools.cache
def _globs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern for pattern in patterns if any(sign in pattern for sign in "*?["))


def _name(value: Expression | None, attribute: str) -> str:
    """Return the name that a fixture answers to; empty where it is computed."""
    match value:
        case None | Constant(value=None | ""):
            return attribute
        case Constant(value=str(name)):
            return name
        case _:
            return ""


def _text(value: Expression | None) -> str:
    return value.value if isinstance(value, Constant) and isinstance(value.value, str) else ""


def _scope(value: Expression | None) -> str:
    match value:
        case None:
            return "function"
        case Constant(value=str(scope)):
            return scope
        case _:
            return ""


def _is_false(candidates: list[Bound] | None) -> bool:
    to = candidates[0].binding.to if candidates else None
    return isinstance(to, Assigned) and to.value == Constant(False)
