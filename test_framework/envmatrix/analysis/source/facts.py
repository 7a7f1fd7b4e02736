"""Facts of one Python file about fixtures and tests, not yet combined with those of other files.

They depend on the file's bytes alone: a digest of these is their cache key. Lines and columns begin with 1.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all facts, which are encoded as arrays, for there are very many of them."""


class Name(Fact, frozen=True, tag="n"):
    """A name, dotted or not: `pytest.mark.skip`."""

    dotted: str


class Constant(Fact, frozen=True, tag="c"):
    """A literal."""

    value: str | int | float | bool | None


class Call(Fact, frozen=True, tag="f"):
    """A call; `**` is a keyword without a name."""

    function: Expression
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...]


class Sequence(Fact, frozen=True, tag="s"):
    """A list, tuple or set; parts joined by `+` are one. `*rest` is a call of the name `*`."""

    items: tuple[Expression, ...]


class Mapping(Fact, frozen=True, tag="m"):
    """A dict; a value spread by `**` has the key None."""

    items: tuple[tuple[Expression | None, Expression], ...]


class Text(Fact, frozen=True, tag="+"):
    """A text that `+` or an f-string puts together from literals and names."""

    parts: tuple[Expression, ...]


class Other(Fact, frozen=True, tag="o"):
    """An expression that is not followed any further."""


Expression: TypeAlias = Name | Constant | Call | Sequence | Mapping | Text | Other


class Parameter(Fact, frozen=True):
    """One parameter of a function, `*args` and `**kwargs` left out."""

    name: str
    line: int
    column: int
    has_default: bool
    is_positional_only: bool


class Ask(Fact, frozen=True):
    """A call of `request.getfixturevalue`; the name is empty where it is not a literal."""

    name: str
    line: int
    column: int
    is_certain: bool = True
    """False under a condition, and where an error is caught."""


class Note(Fact, frozen=True):
    """A possible finding in a function or module, which counts once pytest is known to use it."""

    code: str
    line: int
    column: int
    message: str


class Key(Fact, frozen=True):
    """One key or attribute of what a fixture yields."""

    name: str
    value: Expression
    line: int
    column: int


class Shape(Fact, frozen=True):
    """The value of a fixture, as far as its source shows it."""

    kind: Literal["dict", "object", "value", "unknown"]
    type: str
    """Dotted name of the class, or `dict`, `str`, `bool`…; empty where unknown."""
    keys: tuple[Key, ...]
    is_complete: bool
    """Whether these are all the keys: no call, loop or `**` may have added another."""
    line: int
    column: int


class Read(Fact, frozen=True):
    """A read of a key or an attribute of a fixture's value, or a change, after which it may have others."""

    parameter: str
    key: str
    """Empty for a change."""
    how: Literal["item", "attribute", "get", "change"]
    line: int
    column: int


class Function(Fact, frozen=True, tag="def"):
    """A function or method."""

    name: str
    first_line: int
    """Line of the first decorator, where Python says that the code begins."""
    line: int
    """Line of `def`."""
    column: int
    end_line: int
    parameters: tuple[Parameter, ...]
    decorators: tuple[Expression, ...]
    document: str
    """The docstring's first line."""
    asks: tuple[Ask, ...]
    notes: tuple[Note, ...]
    reads: tuple[Read, ...]
    shape: Shape | None
    """Shape of its value, where a decorator says that it may be a fixture."""
    is_wrapper: bool = False
    """Whether it is a decorator that uses `functools.wraps`, and so keeps the arguments of what it decorates."""
    parametrizes: tuple[str, ...] = ()
    """Arguments that the hook `pytest_generate_tests` supplies; an empty one is computed."""
    returns: Expression | None = None
    """The value of its last statement, where it mentions fixtures: it may be a decorator that makes one."""
    is_async: bool = False


class Class(Fact, frozen=True, tag="class"):
    """A class, with what its body binds."""

    name: str
    first_line: int
    line: int
    column: int
    end_line: int
    bases: tuple[Expression, ...]
    """A metaclass is among them: it, too, may make the class abstract."""
    decorators: tuple[Expression, ...]
    document: str
    body: tuple[Binding, ...]


class Import(Fact, frozen=True, tag="import"):
    """`import module` or `from module import attribute`; a relative one begins with its dots."""

    module: str
    attribute: str
    """Empty for a module itself, `*` for all of its public names."""


class Assigned(Fact, frozen=True, tag="="):
    """`name = value`."""

    value: Expression


class Deleted(Fact, frozen=True, tag="del"):
    """`del name`."""


class Binding(Fact, frozen=True):
    """A name of a module or class, and its value; a later binding of the same name wins.

    The name is `name.__test__` where that attribute of another name is set.
    """

    name: str
    line: int
    column: int
    to: Function | Class | Import | Assigned | Deleted
    is_certain: bool
    """False under `if`, in `try` or in a loop, where it may not run."""


class Unread(Fact, frozen=True):
    """Why a file cannot be read, and where that shows."""

    reason: str
    line: int = 1


class Module(Fact, frozen=True):
    """The facts of a file: the bindings of its top level in order, and more."""

    body: tuple[Binding, ...] = ()
    imports: tuple[Import, ...] = ()
    """Every import, those inside of functions too."""
    notes: tuple[Note, ...] = ()
    noqa: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Lines with a comment `# noqa`, and the codes that it names, where one is ours; none of them means all."""
    is_dynamic: bool = False
    """Whether it creates names at run time: by `globals()`, `setattr`, `exec` or a module's `__getattr__`."""
    registers: tuple[str, ...] = ()
    """Arguments of `pluginmanager.register`, and modules that it loads by `import_plugin`."""
    unread: Unread | None = None
    """Why the file cannot be read; all else is empty then."""
    digest: bytes = b""
    """Digest of its bytes; empty where it cannot be read."""
    parts: bytes = b""
    """Its parts, encoded, where they are wanted; few of them are looked at."""


class Wanted(Fact, frozen=True):
    """What to find in a file besides its fixtures and tests."""

    contracts: frozenset[str] = frozenset()
    """Names of the fixtures whose reads of keys and attributes are recorded."""
    parts: bool = False
    """Whether its parts are wanted."""


FIXTURES_AND_TESTS = Wanted()
"""Nothing besides them."""


class Head(Fact, frozen=True):
    """The facts that are needed even of an unchanged file."""

    digest: bytes
    unread: Unread | None
    noqa: tuple[tuple[int, tuple[str, ...]], ...]
    names_plugins: bool
    """Whether it may bind `pytest_plugins`, itself or by importing `*`."""

    @classmethod
    def of(cls, module: Module) -> Head:
        """Return the head of a module."""
        binds = any(binding.name == "pytest_plugins" for binding in module.body)
        names_plugins = binds or any(each.attribute == "*" for each in module.imports)
        return cls(module.digest, module.unread, module.noqa, names_plugins)
