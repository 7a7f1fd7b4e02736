"""The effect of decorators and marks on a test or fixture: arguments supplied, fixtures used, failures masked."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from envmatrix.analysis.source.expressions import dotted
from envmatrix.analysis.source.facts import Assigned, Binding, Call, Constant, Expression, Function, Name, Parameter
from envmatrix.analysis.source.names import Definition, External, Names
from envmatrix.analysis.source.parse import argument_names

FIXTURES = frozenset({"pytest.fixture", "pytest.yield_fixture", "pytest_asyncio.fixture"})
_MAKE_FIXTURES = FIXTURES | {"functools.partial"}
_MASKS = {
    "pytest.mark.skip": "skip",
    "pytest.mark.skipif": "skipif",
    "pytest.mark.xfail": "xfail",
    "unittest.skip": "skip",
    "unittest.skipIf": "skipif",
    "unittest.skipUnless": "skipif",
    "unittest.expectedFailure": "xfail",
}
_NEUTRAL = frozenset(
    [
        "abc.abstractmethod",
        "classmethod",
        "functools.cache",
        "functools.lru_cache",
        "functools.wraps",
        "property",
        "staticmethod",
        "typing.final",
        "typing.no_type_check",
        "typing.overload",
        "typing.override",
        "unittest.mock.patch.dict",
        "unittest.mock.patch.multiple",
    ]
)
"""Decorators that leave a function's arguments as they are, or hand them on by `__wrapped__`."""


_DEEPEST = 10
"""Steps from a decorator's name to its mark."""


class Marks(msgspec.Struct, frozen=True):
    """The combined effect of a function's decorators, or of the marks of a class or module."""

    uses: tuple[str, ...] = ()
    """Fixtures named by `usefixtures`."""
    parametrized: frozenset[str] = frozenset()
    """Arguments that `parametrize` supplies directly: no fixture answers a request for them."""
    given: frozenset[str] = frozenset()
    """Arguments that `@given` supplies by name."""
    from_left: int = 0
    """Number of leading arguments that `mock.patch` fills."""
    from_right: int = 0
    """Number of trailing arguments that `@given` fills."""
    unknown: str = ""
    """A decorator that may supply arguments, and cannot be read."""
    masked: str = ""
    """`skip`, `skipif` or `xfail`."""
    is_anyio: bool = False

    def __add__(self, other: Marks) -> Marks:
        if other is NONE or self is NONE:
            return self if other is NONE else other
        return Marks(
            (*self.uses, *other.uses),
            self.parametrized | other.parametrized,
            self.given | other.given,
            self.from_left + other.from_left,
            self.from_right + other.from_right,
            self.unknown or other.unknown,
            self.masked or other.masked,
            self.is_anyio or other.is_anyio,
        )


NONE = Marks()


class Decorators:
    """Interprets decorators by their resolved names."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._readers = {
            "pytest.mark.usefixtures": self._uses,
            "pytest.mark.parametrize": self._parametrized,
            "unittest.mock.patch": self._patched,
            "unittest.mock.patch.object": self._patched,
            "hypothesis.given": self._given,
        }

    def marks(self, path: str, decorators: Iterable[Expression]) -> Marks:
        """Return the combined effect of decorators, or of the items of a `pytestmark`."""
        marks = NONE
        for decorator in decorators:
            marks += self._mark(path, decorator)
        return marks

    def fixture(self, path: str, decorators: Iterable[Expression]) -> dict[str, Expression] | None:
        """Return the settings of a fixture's decorator, and its own name by the empty one; None where there is none."""
        for decorator in decorators:
            settings = None if self._is_plainly_none(path, decorator) else self._settings(path, decorator)
            if settings is not None:
                return settings
        return None

    def _is_plainly_none(self, path: str, decorator: Expression) -> bool:
        """Return whether a decorator makes no fixture, by its documented name; nearly all are such."""
        function = decorator.function if isinstance(decorator, Call) else decorator
        if not isinstance(function, Name):
            return False
        target = self._names.resolve_skimming(path, function.dotted)
        return isinstance(target, External) and target.dotted not in _MAKE_FIXTURES

    def made_fixture(self, path: str, value: Expression) -> tuple[dict[str, Expression], str] | None:
        """Return settings and function of `name = pytest.fixture(scope="module")(function)`; None for anything else."""
        match value:
            case Call(function=Name(), arguments=(function, *_)):
                settings = self._settings(path, value)
            case Call(function=Call() as decorator, arguments=(function, *_)):
                settings = self._settings(path, decorator)
            case _:
                return None
        return None if settings is None else (settings, function.dotted if isinstance(function, Name) else "")

    def _settings(self, path: str, value: Expression, depth: int = 0) -> dict[str, Expression] | None:
        settings: dict[str, Expression] | None = None
        if depth > _DEEPEST:
            return None
        if isinstance(value, Name):
            match self._names.resolve_skimming(path, value.dotted):
                case External(dotted=known):
                    settings = {"": Name(known)} if known in FIXTURES else None
                case Definition(path=where, binding=Binding(to=Assigned(value=assigned))):
                    settings = self._settings(where, assigned, depth + 1)
                case Definition(path=where, binding=Binding(to=Function(returns=Name() | Call() as returned))):
                    settings = self._settings(where, returned, depth + 1)
        elif isinstance(value, Call):
            function = value.function
            if value.arguments and isinstance(function, Name) and self._is(path, function.dotted, "functools.partial"):
                function = value.arguments[0]
            settings = self._settings(path, function, depth + 1)
            if settings is not None:
                settings |= {name: self._names.literal(path, word) for name, word in value.keywords}
        return settings

    def is_marked(self, path: str, decorators: Iterable[Expression]) -> bool:
        """Return whether one of pytest's marks is among decorators."""
        targets = (self._names.resolve_skimming(path, dotted(each)) for each in decorators)
        return any(isinstance(each, External) and each.dotted.startswith("pytest.mark.") for each in targets)

    def opaque(self, path: str, decorators: Iterable[Expression]) -> str:
        """Return a decorator that may make a fixture, for all that its source shows; empty if there is none."""
        written = map(dotted, decorators)
        return next(
            (name for name in written if not isinstance(self._names.resolve_skimming(path, name), External)), ""
        )

    def _is(self, path: str, dotted: str, known: str) -> bool:
        return self._names.resolve_skimming(path, dotted) == External(known)

    def _mark(self, path: str, value: Expression, depth: int = 0) -> Marks:
        call = value if isinstance(value, Call) else None
        function = call.function if call else value
        if isinstance(function, Call) and isinstance(function.function, Name):  # `@make(1)(2)`
            return Marks(unknown=f"@{function.function.dotted}")
        if not isinstance(function, Name) or depth > _DEEPEST:
            return Marks(unknown="an expression")
        name = function.dotted
        match self._names.resolve_skimming(path, name):
            case External(dotted=known):
                return self._known(path, known, call)
            case Definition(path=where, binding=Binding(to=Assigned(value=assigned))) if call is None:
                return self._mark(where, assigned, depth + 1)
            case Definition(binding=Binding(to=Function(is_wrapper=True))):
                return NONE
            case _:  # it may be by its documented name already
                return self._known(path, name, call)

    def _known(self, path: str, known: str, call: Call | None) -> Marks:
        if (reader := self._readers.get(known)) is not None:
            return reader(path, call)
        if known in _MASKS:
            return Marks(masked=_MASKS[known])
        if known.startswith("pytest.mark."):
            return Marks(is_anyio=known == "pytest.mark.anyio")
        if known in _NEUTRAL or known in FIXTURES or known.startswith("hypothesis."):
            return NONE
        return Marks(unknown=f"@{known}")

    def _uses(self, path: str, call: Call | None) -> Marks:
        named = [self._names.literal(path, argument) for argument in call.arguments] if call else []
        names = [name for item in named for name in argument_names_of(item)]
        return Marks(uses=tuple(filter(None, names)), unknown="" if all(names) else "usefixtures with computed names")

    def _parametrized(self, path: str, call: Call | None) -> Marks:
        keywords = dict(call.keywords) if call else {}
        arguments = call.arguments if call else ()
        if arguments and len(arguments) < 3 and "indirect" not in keywords and isinstance(arguments[0], Constant):  # noqa: PLR2004
            return Marks(parametrized=frozenset(argument_names(arguments[0])))  # as nearly all of them are
        first = arguments[0] if arguments else keywords.get("argnames", Constant(""))
        names = argument_names(self._names.literal(path, first))
        indirect = arguments[2] if len(arguments) > 2 else keywords.get("indirect", Constant(False))  # noqa: PLR2004
        match self._names.literal(path, indirect):
            case Constant(value=bool(all_of_them)):
                direct = frozenset() if all_of_them else frozenset(names)
            case listed:
                indirectly = argument_names(listed)
                if not all(indirectly):
                    return Marks(unknown="parametrize with a computed indirect")
                direct = frozenset(names) - set(indirectly)
        return Marks(parametrized=direct - {""}, unknown="" if all(names) else "parametrize with computed names")

    def _patched(self, path: str, call: Call | None) -> Marks:
        if call is None:
            return NONE
        before = 2 if isinstance(call.function, Name) and call.function.dotted.endswith("object") else 1
        new = call.arguments[before] if len(call.arguments) > before else dict(call.keywords).get("new")
        if any(isinstance(item, Call) and item.function == Name("*") for item in call.arguments):
            return Marks(unknown="mock.patch with computed arguments")
        is_default = new is None or self._names.literal(path, new) == Name("unittest.mock.DEFAULT")
        return Marks(from_left=1 if is_default else 0)

    def _given(self, _path: str, call: Call | None) -> Marks:
        if call is None or call.arguments == (Name("..."),):
            return Marks(unknown="@given(...)")
        names = [name for name, _ in call.keywords]
        spread = any(isinstance(item, Call) and item.function == Name("*") for item in call.arguments)
        return Marks(
            given=frozenset(names) - {""},
            from_right=len(call.arguments),
            unknown="@given with computed arguments" if spread or not all(names) else "",
        )


def argument_names_of(item: Expression) -> tuple[str, ...]:
    """Return the one name that an argument of `usefixtures` is; empty where it is computed."""
    return (item.value,) if isinstance(item, Constant) and isinstance(item.value, str) else argument_names(item)


def requested(function: Function, marks: Marks, *, is_method: bool) -> tuple[Parameter, ...]:
    """Return the parameters that request fixtures, as `_pytest.compat.getfuncargnames` does."""
    parameters = function.parameters
    if marks.from_right:  # @given fills from the right those that may be filled by position
        parameters = parameters[: max(0, len(parameters) - marks.from_right)]
    requests = [parameter for parameter in parameters if not parameter.has_default and not parameter.is_positional_only]
    if is_method and not any(parameter.is_positional_only for parameter in parameters):
        del requests[:1]
    del requests[: marks.from_left]
    if marks.parametrized or marks.given:
        skipped = marks.parametrized | marks.given
        return tuple(parameter for parameter in requests if parameter.name not in skipped)
    return tuple(requests)


def is_static(function: Function) -> bool:
    """Return whether a method gets no instance."""
    return Name("staticmethod") in function.decorators


def is_abstract(function: Function) -> bool:
    """Return whether a method must be overridden before its class can be instantiated."""
    return any(isinstance(item, Name) and item.dotted.endswith("abstractmethod") for item in function.decorators)
