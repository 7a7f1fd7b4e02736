"""What a test needs of an environment: by the fixtures that it reaches, and by its `requires` marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from test_framework.analysis.impact.places import Place
from test_framework.analysis.index import Request, Test
from test_framework.analysis.source import Assigned, Binding, Call, Class, Constant, Expression, Module, Name, Sequence

_LLM_ONLY = "real_llm"
"""The one contract fixture that is built of a single service."""
_EXTERNAL = ("pytest.", "unittest.", "mock.", "hypothesis.")
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Needs:
    """What one test needs, whatever the environment."""

    fixtures: tuple[str, ...] = ()
    """Fixtures with a contract that it reaches."""
    capabilities: tuple[str, ...] = ()
    """What its marks require."""
    unknown: str = ""
    """A mark that cannot be read, and may require anything."""

    def why(self, place: Place, services: frozenset[str]) -> str:
        """Return why a test needs one of these services there; empty where it needs none."""
        for fixture in self.fixtures:
            if fixture != _LLM_ONLY:
                return f"all of which {fixture} is built of"
            if services & place.closure({"llm"}):
                return f"which {fixture} is built of"
        for capability in self.capabilities:
            service = place.providers.get(capability, capability)
            if services & place.closure({service}):
                return f'which requires("{capability}") asks for'
        return f"and its mark {self.unknown} may require it" if self.unknown else ""


def needs_of(
    test: Test, requests: Iterable[Request], modules: Mapping[str, Module], contracts: frozenset[str]
) -> Needs:
    """Return what a test needs."""
    found = dict.fromkeys(request.name for request in requests if request.name in contracts)
    capabilities: dict[str, None] = {}
    unknown = ""
    for path in dict.fromkeys((test.path, test.defined_in)):
        module = modules.get(path, Module())
        for expression in _marks(test, module):
            for mark in _followed(expression, module):
                match mark:
                    case Call(function=Name(dotted=dotted), arguments=words) if dotted.endswith("mark.requires"):
                        names = [word.value for word in words if isinstance(word, Constant)]
                        capabilities |= dict.fromkeys(str(name) for name in names)
                        unknown = unknown or ("requires(…)" if len(names) < len(words) else "")
                    case Name(dotted=dotted) if not dotted.startswith(_EXTERNAL):
                        unknown = unknown or dotted
    return Needs(tuple(found), tuple(capabilities), unknown)


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


def _followed(value: Expression, module: Module, depth: int = 0) -> Iterator[Expression]:
    """Yield marks out of lists and parameters; a name that the module assigns stands for what it assigns."""
    match value:
        case Sequence(items=items) if depth < _DEEPEST:
            for item in items:
                yield from _followed(item, module, depth + 1)
        case Call(function=Name(dotted="*"), arguments=items) if depth < _DEEPEST:
            for item in items:
                yield from _followed(item, module, depth + 1)
        case Call(function=Name(dotted=dotted)) if "." not in dotted and depth < _DEEPEST:
            yield Name(dotted)
        case Name(dotted=dotted) if depth < _DEEPEST:
            held = [each.to.value for each in module.body if each.name == dotted and isinstance(each.to, Assigned)]
            for each in held:
                yield from _followed(each, module, depth + 1)
            if not held:
                yield value
        case _:
            yield value
