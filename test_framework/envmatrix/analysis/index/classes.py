"""Classes with their inherited members, and the reasons for which pytest does not collect one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from envmatrix.analysis.index.decorators import is_abstract
from envmatrix.analysis.source.facts import Assigned, Binding, Class, Constant, Function, Name
from envmatrix.analysis.source.names import Bound, Definition, External, Names

_TEST_CASES = frozenset({"unittest.TestCase", "unittest.IsolatedAsyncioTestCase", "unittest.case.TestCase"})
_HARMLESS = frozenset({"object", "typing.Generic", "typing.Protocol", "abc.ABC", "abc.ABCMeta"})


@dataclass(frozen=True, slots=True)
class Kin:
    """A class in the method resolution order of another, and its file."""

    path: str
    node: Class


@dataclass(slots=True)
class Lineage:
    """A class and its bases, in method resolution order."""

    kin: tuple[Kin, ...]
    is_unittest: bool
    is_abc: bool
    lost: str
    """An unreadable base, from which members may come; empty for none."""
    members: dict[str, Bound] = field(default_factory=dict)
    """Each attribute, from the first class that has it."""

    @property
    def is_tested(self) -> bool:
        """Return whether `__test__` allows to collect the class."""
        return self._constant("__test__") is not False

    @property
    def is_wanted(self) -> bool:
        """Return whether `__test__` demands to collect the class, whatever its name."""
        return self._constant("__test__") is True

    @property
    def is_abstract(self) -> bool:
        """Return whether it cannot be instantiated, because a method must be overridden."""
        if not self.is_abc:
            return False
        made = (bound.binding.to for bound in self.members.values())
        return any(isinstance(member, Function) and is_abstract(member) for member in made)

    @property
    def has_constructor(self) -> bool:
        """Return whether pytest cannot instantiate it, because it has an `__init__` or a `__new__`."""
        return not self.is_unittest and ("__init__" in self.members or "__new__" in self.members)

    def _constant(self, name: str) -> object:
        bound = self.members.get(name)
        value = bound.binding.to.value if bound and isinstance(bound.binding.to, Assigned) else None
        return value.value if isinstance(value, Constant) else None


class Classes:
    """Computes the lineage of classes, and caches them."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[tuple[str, int, str], Lineage] = {}
        self._tested: dict[tuple[str, int, str], bool] = {}

    def may_be_tested(self, path: str, node: Class) -> bool:
        """Return whether a class is collected whatever its name, by its bases or by `__test__`; files are but skimmed."""
        key = (path, node.line, node.name)
        if (known := self._tested.get(key)) is None:
            self._tested[key] = False  # for a cycle of bases
            known = self._tested[key] = any(each.name == "__test__" for each in node.body) or any(
                self._is_tested_base(path, base.dotted) for base in node.bases if isinstance(base, Name)
            )
        return known

    def _is_tested_base(self, path: str, base: str) -> bool:
        match self._names.resolve_skimming(path, base):
            case Definition(path=where, binding=Binding(to=Class() as found)):
                return self.may_be_tested(where, found)
            case External(dotted=known):
                return known in _TEST_CASES
            case _:
                return False

    def lineage(self, path: str, node: Class) -> Lineage:
        """Return the lineage of a class; a cycle of bases ends where it closes."""
        key = (path, node.line, node.name)
        if (known := self._known.get(key)) is None:
            self._known[key] = Lineage((Kin(path, node),), is_unittest=False, is_abc=False, lost="")
            known = self._known[key] = self._trace(path, node)
        return known

    def _trace(self, path: str, node: Class) -> Lineage:
        bases: list[Lineage] = []
        is_unittest = is_abc = False
        lost = ""
        for base in node.bases:
            if not isinstance(base, Name):
                lost = lost or "a base that is computed"
                continue
            match self._names.resolve(path, base.dotted):
                case Definition(path=where, binding=Binding(to=Class() as found)):
                    bases.append(self.lineage(where, found))
                case External(dotted=known):
                    is_unittest |= known in _TEST_CASES
                    is_abc |= known.startswith("abc.")
                    lost = lost or ("" if known in _HARMLESS | _TEST_CASES else known)
                case _ if base.dotted not in _HARMLESS:
                    lost = lost or base.dotted
        lineage = Lineage(
            (Kin(path, node), *_merged([list(base.kin) for base in bases])),
            is_unittest or any(base.is_unittest for base in bases),
            is_abc or any(base.is_abc for base in bases),
            lost or next((base.lost for base in bases if base.lost), ""),
        )
        for kin in reversed(lineage.kin):  # bases first: a nearer class replaces their members
            for binding in kin.node.body:
                lineage.members[binding.name] = Bound(kin.path, binding)
        return lineage


def _merged(lines: list[list[Kin]]) -> Iterator[Kin]:
    """Merge the lineages of several bases as Python does (C3), or in order where it would refuse."""
    while lines := [line for line in lines if line]:
        tails = [kin for line in lines for kin in line[1:]]
        chosen = next((line[0] for line in lines if line[0] not in tails), lines[0][0])
        yield chosen
        lines = [[kin for kin in line if kin != chosen] for line in lines]
