"""Resolve dotted names in a file through imports, `*`, `__all__` and packages, reading source only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from envmatrix.analysis.source.facts import (
    Assigned,
    Binding,
    Call,
    Class,
    Constant,
    Expression,
    Function,
    Import,
    Module,
    Name,
    Other,
    Sequence,
    Text,
)

_PYTEST = ["_pytest", "anyio", "hypothesis", "mock", "pytest", "pytest_asyncio"]
WELL_KNOWN = frozenset([*_PYTEST, "abc", "contextlib", "functools", "os", "sys", "typing", "unittest"])
"""Packages that are not read: a name in them stands for itself, as documented."""

_PUBLIC = {"_pytest.fixtures.": "pytest.", "_pytest.mark.": "pytest.", "mock.": "unittest.mock."}
_WHERE_FIXTURE_IS = "_pytest/fixtures.py"
_DEEPEST = 40
"""Steps from a name to its target; more of them are a cycle."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or a class of a file that was read, or an assignment that is no plain name."""

    path: str
    binding: Binding


@dataclass(frozen=True, slots=True)
class External:
    """A documented name such as `pytest.fixture`, whatever it was imported as."""

    dotted: str


@dataclass(frozen=True, slots=True)
class Package:
    """A module itself."""

    path: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A name that cannot be resolved."""

    dotted: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A function, or a class without bases, that is no fixture and no test, by a skim of its file."""


Target: TypeAlias = Definition | External | Package | Lost | Plain


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding, and the file in which it is written."""

    path: str
    binding: Binding


@dataclass(slots=True)
class Namespace:
    """The names of a file, each with its possible bindings: the last one first, up to a certain one."""

    names: dict[str, list[Bound]]
    lost: tuple[str, ...] = ()
    """Unreadable modules of which `*` is imported: any name may come from there."""


class Names:
    """Resolves names from file to file, and caches the results.

    Args:
        module: The facts of a file, by its path.
        find: The path of a module by its absolute or relative name, as seen from a file; None where there is none.
        skim: The imports, assignments and classes of a file, by its path and the name that is wanted; None where that
            is no fixture, test or mark.
    """

    def __init__(
        self,
        module: Callable[[str], Module],
        find: Callable[[str, str], str | None],
        skim: Callable[[str, str], Module | None],
    ) -> None:
        self._module = module
        self._find = find
        self._skim = skim
        self._namespaces: dict[str, Namespace] = {}
        self._skimmed: dict[str, tuple[Module, dict[str, list[Bound]]]] = {}
        self._resolved: dict[tuple[str, str], Target] = {}
        self._resolved_skimming: dict[tuple[str, str], Target] = {}
        self._skimmed_targets: dict[tuple[str, str], Target] = {}
        """File, and a name in it → its target: many files import the same through the same chain of packages."""

    def namespace(self, path: str) -> Namespace:
        """Return the names of a file's top level, those imported by `*` too."""
        if (known := self._namespaces.get(path)) is not None:
            return known
        space = self._namespaces[path] = Namespace({})  # what a circle of imports sees: what is there so far
        for binding in self._module(path).body:
            if isinstance(binding.to, Import) and binding.to.attribute == "*":
                self._add_star(space, path, binding, binding.to.module)
            else:
                _bind(space.names, binding.name, Bound(path, binding))
        return space

    def _add_star(self, space: Namespace, path: str, binding: Binding, module: str) -> None:
        source = self._find(path, module)
        if source is None:
            if module.partition(".")[0] not in WELL_KNOWN:
                space.lost += (module,)
            return
        inner = self.namespace(source)
        space.lost += inner.lost
        for name in self._public(source, inner):
            imported = Binding(name, binding.line, binding.column, Import(module, name), binding.is_certain)
            _bind(space.names, name, Bound(path, imported))

    def _public(self, path: str, space: Namespace) -> list[str]:
        """Return the names that `*` imports: those of `__all__` where that can be read."""
        if "__all__" in space.names:
            exports = self.literal(path, Name("__all__"))
            if isinstance(exports, Sequence):
                names = [item.value for item in exports.items if isinstance(item, Constant)]
                if len(names) == len(exports.items):
                    return [name for name in names if isinstance(name, str)]
        return [name for name in space.names if not name.startswith("_")]

    def resolve(self, path: str, dotted: str) -> Target:
        """Return the target of a name, as seen from a file's top level."""
        if (known := self._resolved.get((path, dotted))) is None:
            known = self._resolved[path, dotted] = self._from_top(path, dotted, 0, skim=False)
        return known

    def resolve_skimming(self, path: str, dotted: str) -> Target:
        """Return the same, skimming files instead of parsing them; `Plain` for what is no fixture, test or mark."""
        if (known := self._resolved_skimming.get((path, dotted))) is None:
            known = self._resolved_skimming[path, dotted] = self._from_top(path, dotted, 0, skim=True)
        return known

    def _from_top(self, path: str, dotted: str, depth: int, *, skim: bool) -> Target:
        head, _, rest = dotted.partition(".")
        if path.endswith(_WHERE_FIXTURE_IS) and dotted == "fixture":
            return External("pytest.fixture")
        bound = self._skim_into(path, head) if skim else self.namespace(path).names.get(head, [])
        if bound is None:
            return Plain()
        if not bound or depth > _DEEPEST:
            return Lost(dotted)
        return self.follow(bound[0], rest, depth, skim=skim)

    def follow(self, bound: Bound, rest: str = "", depth: int = 0, *, skim: bool) -> Target:
        """Return the target of a binding, or of the name `rest` inside of it."""
        path, binding = bound.path, bound.binding
        target: Target = Lost(rest or binding.name)
        match binding.to:
            case Import(module=module, attribute=""):
                whole = binding.name != module.partition(".")[0]  # `import a.b` binds a, and a.b is found through it
                target = self._inside(path, module if whole else binding.name, rest, depth, skim=skim)
            case Import(module=module, attribute=attribute):
                target = self._inside(path, module, f"{attribute}.{rest}" if rest else attribute, depth, skim=skim)
            case Assigned(value=Name(dotted=other)):
                target = self._follow_alias(bound, f"{other}.{rest}" if rest else other, depth + 1, skim=skim)
            case Class(body=body) if rest:
                head, _, inner = rest.partition(".")
                member = next((member for member in reversed(body) if member.name == head), None)
                if member is not None:
                    target = self.follow(Bound(path, member), inner, depth + 1, skim=skim)
            case Function() | Class() | Assigned() if not rest:
                target = Definition(path, binding)
            case _:
                pass
        return target

    def _follow_alias(self, bound: Bound, dotted: str, depth: int, *, skim: bool) -> Target:
        """Return the target of a name at the time another name was bound to it."""
        head, _, rest = dotted.partition(".")
        last: Binding | None = None
        for binding in self._module(bound.path).body if bound.path in self._namespaces else ():
            if binding is bound.binding:
                break
            if binding.name == head:
                last = binding
        if last is not None and depth <= _DEEPEST:
            return self.follow(Bound(bound.path, last), rest, depth, skim=skim)
        return Lost(dotted) if head == bound.binding.name else self._from_top(bound.path, dotted, depth, skim=skim)

    def _inside(self, path: str, module: str, rest: str, depth: int, *, skim: bool) -> Target:
        """Return the target of `rest` in a module: one of its names, or a module below it."""
        full = f"{module}.{rest}" if rest else module
        if module.partition(".")[0] in WELL_KNOWN:
            return External(_public_name(full))
        source = self._find(path, module)
        if source is None or depth > _DEEPEST:
            return Lost(full)
        if not rest:
            return Package(source)
        if skim and (known := self._skimmed_targets.get((source, rest))) is not None:
            return known
        head, _, inner = rest.partition(".")
        bound = self._skim_into(source, head) if skim else self.namespace(source).names.get(head, [])
        below = f"{module}{head}" if module.endswith(".") else f"{module}.{head}"
        target: Target = Lost(full)
        if bound is None:
            target = Plain()
        elif bound:
            target = self.follow(bound[0], inner, depth + 1, skim=skim)
        elif self._find(path, below):
            target = self._inside(path, below, inner, depth + 1, skim=skim)
        if skim and not isinstance(target, Lost):
            self._skimmed_targets[source, rest] = target
        return target

    def _skim_into(self, path: str, name: str, depth: int = 0) -> list[Bound] | None:
        """Return the bindings of a name in a skimmed file; None if it is no fixture, test or mark."""
        if path in self._namespaces:
            return self._namespaces[path].names.get(name, [])
        module = self._skim(path, name)
        if module is None:
            return None
        skimmed, names = self._skimmed.get(path, (None, {}))
        if skimmed is not module:  # for another name it may have had to be parsed
            names = {}
            for binding in module.body:
                _bind(names, binding.name, Bound(path, binding))
            self._skimmed[path] = module, names
        if name in names:
            return names[name]
        for star in names.get("*", ()):
            source = self._find(path, star.binding.to.module) if isinstance(star.binding.to, Import) else None
            if source is None or depth > _DEEPEST:
                continue
            inner = self._skim_into(source, name, depth + 1)
            if inner is None or inner:
                return inner
        return []

    def literal(self, path: str, value: Expression, depth: int = 0) -> Expression:  # noqa: PLR0911 -- one answer for each form
        """Return an expression with each name replaced by its value.

        A name becomes what was assigned to it, in whatever file, or keeps to its documented name (`pytest.mark.skip`);
        one that is a function or class of ours, or that is lost, stays a name with its file before it.
        """
        if depth > _DEEPEST:
            return Other()
        match value:
            case Name(dotted="*" | "..."):
                return value
            case Name(dotted=dotted):
                return self._literal_name(path, dotted, depth)
            case Call(function=function, arguments=arguments, keywords=keywords):
                return Call(
                    self.literal(path, function, depth + 1),
                    tuple(self.literal(path, argument, depth + 1) for argument in arguments),
                    tuple((name, self.literal(path, word, depth + 1)) for name, word in keywords),
                )
            case Sequence(items=items):
                return Sequence(tuple(_spread(self.literal(path, item, depth + 1) for item in items)))
            case Text(parts=parts):
                words = [self._word(path, part) for part in parts]
                return value if None in words else Constant("".join(filter(None, words)))
            case _:
                return value

    def _word(self, path: str, part: Expression) -> str | None:
        """Return a part of a text: a literal, or the literal that a name stands for; None for anything else."""
        if isinstance(part, Name):
            match self.resolve(path, part.dotted):
                case Definition(binding=Binding(to=Assigned(value=value), is_certain=True)):
                    part = value
        return part.value if isinstance(part, Constant) and isinstance(part.value, str) else None

    def _literal_name(self, path: str, dotted: str, depth: int) -> Expression:
        target = self.resolve_skimming(path, dotted)
        if isinstance(target, Definition) and isinstance(target.binding.to, Assigned):
            target = self.resolve(path, dotted)  # a skim knows no values
        match target:
            case External(dotted=known):
                return Name(known)
            case Definition(path=where, binding=Binding(name=name, to=Assigned(value=value))):
                if isinstance(value, Sequence):  # `pytestmark += [...]` names itself
                    value = self._without_itself(where, name, value)
                return self.literal(where, value, depth + 1)
            case Definition(path=where, binding=Binding(name=name)):
                return Name(f"{where}:{name}")
            case _:
                return Name(f"{path}:{dotted}")

    def _without_itself(self, path: str, name: str, value: Sequence) -> Sequence:
        """Replace `*name` in the new value of that name by its earlier value."""
        mine = Call(Name("*"), (Name(name),), ())
        if mine not in value.items:
            return value
        bindings = [binding for binding in self._module(path).body if binding.name == name]
        items: list[Expression] = []
        for binding in bindings:
            if isinstance(binding.to, Assigned):
                whole = binding.to.value
                parts = whole.items if isinstance(whole, Sequence) else (Call(Name("*"), (whole,), ()),)
                items = [*(items if mine in parts else ()), *(part for part in parts if part != mine)]
        return Sequence(tuple(items))


def _public_name(full: str) -> str:
    """Return the documented name for one that is internal."""
    for other, public in _PUBLIC.items():
        if full.startswith(other):
            return public + full.removeprefix(other)
    return full


def _spread(items: Iterable[Expression]) -> list[Expression]:
    """Replace each `*sequence` by the items of the sequence, where they are known."""
    spread: list[Expression] = []
    for item in items:
        match item:
            case Call(function=Name(dotted="*"), arguments=(Sequence(items=inner),)):
                spread += inner
            case _:
                spread.append(item)
    return spread


def _bind(names: dict[str, list[Bound]], name: str, bound: Bound) -> None:
    """Add a binding before the earlier ones of its name; a certain one replaces them."""
    earlier = names.pop(name, [])  # the order of a module's names is that of their last binding, or near enough
    names[name] = [bound] if bound.binding.is_certain else [bound, *earlier]
