"""The services that a test needs: by the fixtures that it uses, and by its `requires` marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from envmatrix.analysis.impact.environments import DeclaredEnvironment
from envmatrix.analysis.impact.project_source import ProjectSource
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.facts import Assigned, Binding, Call, Class, Constant, Expression, Module, Name, Sequence
from envmatrix.analysis.source.names import Definition

_LLM_ONLY = "real_llm"
"""The one contract fixture that is built of a single service."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The needs of one test, whatever the environment."""

    fixtures: tuple[str, ...] = ()
    """Fixtures with a contract that it reaches."""
    capabilities: tuple[str, ...] = ()
    """Capabilities that its marks require."""
    unknown: str = ""
    """A mark that cannot be read, and may require anything."""

    def why(self, place: DeclaredEnvironment, services: frozenset[str]) -> str:
        """Return why the test needs one of these services of an environment; empty if it needs none."""
        if services & place.closure(place.given):
            return "and [pytest] gives it to every test"
        for fixture in self.fixtures:
            if fixture != _LLM_ONLY:
                return f"and {fixture} needs every service"
            if services & place.closure({"llm"}):
                return f"and {fixture} needs it"
        for capability in self.capabilities:
            service = place.providers.get(capability, capability)
            if services & place.closure({service}):
                return f'and requires("{capability}") needs it'
        return f"and its mark {self.unknown} may require it" if self.unknown else ""


def needs_of(test: Test, tree: ProjectSource) -> Needs:
    """Return the needs of a test."""
    fixtures = dict.fromkeys(request.name for request in tree.index.requests(test) if request.name in tree.contracts)
    capabilities: dict[str, None] = {}
    unknown = ""
    for path in dict.fromkeys((test.path, test.defined_in)):
        for written in _marks(test, tree.modules.get(path, Module())):
            for mark in _flat(tree.index.names.literal(path, written)):
                match mark:
                    case Call(function=Name(dotted="pytest.mark.requires"), arguments=words):
                        names = [word.value for word in words if isinstance(word, Constant)]
                        capabilities |= dict.fromkeys(str(name) for name in names)
                        unknown = unknown or ("requires(…)" if len(names) < len(words) else "")
                    case Name(dotted=dotted) | Call(function=Name(dotted=dotted)):
                        unknown = unknown or _unread(dotted, tree)
    return Needs(tuple(fixtures), tuple(capabilities), unknown)


def _unread(mark: str, tree: ProjectSource) -> str:
    """Return the name of a decorator that is no mark by itself, where its file speaks of `requires`: it may add that."""
    file, _, name = mark.rpartition(":")
    if not file:
        return ""
    match tree.index.names.resolve(file, name):
        case Definition(path=where) if b"mark.requires" not in tree.source(where):
            return ""
        case _:
            return name


def _marks(test: Test, module: Module) -> Iterator[Expression]:
    """Yield the marks of a test, of its classes and of its module, as they are written."""
    yield from test.function.decorators
    yield from _pytestmark(module.body)
    body = module.body
    for name in test.classes:
        classes = [binding.to for binding in body if binding.name == name and isinstance(binding.to, Class)]
        for each in classes:
            yield from each.decorators
            yield from _pytestmark(each.body)
        body = tuple(binding for each in classes for binding in each.body)


def _pytestmark(body: Iterable[Binding]) -> Iterator[Expression]:
    for binding in body:
        if binding.name == "pytestmark" and isinstance(binding.to, Assigned):
            yield binding.to.value


def _flat(value: Expression) -> Iterator[Expression]:
    """Yield the marks of a list, or the one."""
    match value:
        case Sequence(items=items) | Call(function=Name(dotted="*"), arguments=items):
            for item in items:
                yield from _flat(item)
        case _:
            yield value
