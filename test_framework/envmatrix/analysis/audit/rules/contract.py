"""EM2xx: compare the value of each fixture with its contract and with what tests read of it."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.contracts import Contracts, FixtureValue, is_stand_in
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import AffectedTest, Survey, masked, nodeids
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.project.plugins import has_environments
from envmatrix.analysis.source.facts import Call, Constant, Expression, Key, Name, Read, Shape
from envmatrix.analysis.source.facts import Mapping as MappingOf
from envmatrix.analysis.source.facts import Sequence as Items
from envmatrix.analysis.source.fields import ClassFields
from envmatrix.analysis.source.hosts import host_of
from envmatrix.analysis.source.values import BAGS

RULES = (
    AuditRule("EM201", "missing-contract-field", "A provider of a contract fixture lacks a field of the contract."),
    AuditRule(
        "EM202",
        "unknown-contract-field",
        "A provider of a contract fixture has a field that the contract does not know.",
    ),
    AuditRule(
        "EM203",
        "contract-field-type",
        "A provider of a contract fixture gives a field of another type than the contract says.",
    ),
    AuditRule(
        "EM204",
        "hard-coded-capability",
        "A provider of a contract fixture has a literal True for the availability of a service.",
    ),
    AuditRule("EM205", "hard-coded-url", "A provider of a contract fixture has the hard-coded URL of one environment."),
    AuditRule("EM206", "mock-named-real", "A fixture whose name says that it is real gives a mock."),
    AuditRule("EM207", "drifting-providers", "Providers of one fixture give different fields.", is_opt_in=True),
    AuditRule(
        "EM208", "unknown-key-read", "A test reads a key or an attribute that the fixture it sees does not give."
    ),
    AuditRule(
        "EM209", "dict-read-as-object", "A test reads a dict as an object, or an object as a dict.", is_fixable=True
    ),
)

_NAMED = 5


def findings(index: Index, survey: Survey) -> Iterator[AuditFinding]:
    """Yield fields that fixtures lack or should not have, and reads of fields that they do not have."""
    checker = _Checker(index, survey)
    yield from checker.providers()
    yield from checker.drifting()
    yield from checker.reads()


class _Checker:
    def __init__(self, index: Index, survey: Survey) -> None:
        self._index = index
        self._survey = survey
        self._contracts = Contracts(index)
        self._declares_environments = has_environments(index.root)
        self._given: dict[tuple[str, int], FixtureValue | None] = {}

    def providers(self) -> Iterator[AuditFinding]:
        """Compare each provider of a contract fixture with the contract."""
        for fixture in {(each.path, each.line): each for each in self._survey.fixtures}.values():
            contract = self._contracts.classes.get(fixture.name)
            if contract is not None or fixture.name.startswith("real_"):
                yield from self._mocks(fixture)
            if contract is None or (given := self._what(fixture)) is None:
                continue
            for key in given.keys:
                if key.name in contract.fields:
                    yield from self._value(fixture, key, contract)
            if self._declares_environments:  # without one, it may be something else of that name
                yield from self._fields(fixture, given, contract)

    def _fields(self, fixture: Fixture, given: FixtureValue, contract: ClassFields) -> Iterator[AuditFinding]:
        has = None if given.is_contract else given.names
        if lacking := [name for name in contract.fields if has is not None and name not in has]:
            message = f"fixture {fixture.name!r} lacks {_listed(lacking)} of the contract {contract.name}"
            hint = f"Provide them, or drop this fixture: the plugin provides a {contract.name}"
            yield self._at(fixture, fixture, "EM201", message, hint)
        for key in given.keys if contract.is_whole else ():
            if key.name not in contract:
                message = f"fixture {fixture.name!r} has {key.name!r}, which the contract {contract.name} does not know"
                extend = f"Declare it in a subclass of {contract.name}, named in [tool.envmatrix.contracts]"
                yield self._at(fixture, key, "EM202", message, _spelling(key.name, contract.fields) or extend)

    def _value(self, fixture: Fixture, key: Key, contract: ClassFields) -> Iterator[AuditFinding]:
        value = self._literal(fixture, key.value)
        types, wanted = _types(value), contract.fields[key.name]
        if types and wanted and not types & wanted and not (types & {"int", "bool"} and wanted & {"int", "float"}):
            right = " or ".join(sorted(wanted, key=lambda name: (name == "None", name)))
            message = f"{key.name!r} of fixture {fixture.name!r} is of type {min(types)}, the contract says {right}"
            yield self._at(fixture, key, "EM203", message, f"Give what {contract.name} promises: tests rely on it")
        elif value == Constant(value=True) and (key.name.endswith("_available") or key.name == "is_real"):
            message = (
                f"{key.name!r} of fixture {fixture.name!r} is hard-coded: it says True also where nothing is there"
            )
            yield self._at(fixture, key, "EM204", message, "Drop this fixture: the plugin's own probes the service")
        elif key.name.endswith("_url") and (host := _url_host(value)):
            declared = self._contracts.hosts.get(host)
            whose = f"{host} is declared in {declared}" if declared else f"{host} is one environment's"
            message = f"{key.name!r} of fixture {fixture.name!r} is hard-coded: {whose}"
            hint = "Drop this fixture, or take the URL from the environment that is selected"
            yield self._at(fixture, key, "EM205", message, hint)

    def _literal(self, fixture: Fixture, value: Expression) -> Expression:
        return self._index.names.literal(fixture.path, value) if isinstance(value, Name) else value

    def _mocks(self, fixture: Fixture) -> Iterator[AuditFinding]:
        shape = fixture.function.shape if fixture.function is not None else None
        if shape is None:
            return
        hint = 'Name it for what it is, or declare a service with source = "stub": reports then say so'
        if shape.kind == "object" and is_stand_in(shape.type):
            yield self._at(fixture, shape, "EM206", f"fixture {fixture.name!r} gives a mock: {shape.type}", hint)
            return
        for key in shape.keys:
            match key.value:
                case Call(function=Name(dotted=written)) if is_stand_in(written):
                    message = f"{key.name!r} of fixture {fixture.name!r} is a mock: {written}"
                    yield self._at(fixture, key, "EM206", message, hint)

    def drifting(self) -> Iterator[AuditFinding]:
        """Compare the providers of one name that tests of different directories share."""
        named: dict[str, dict[tuple[str, int], Fixture]] = defaultdict(dict)
        for fixture in self._survey.fixtures:
            shape = fixture.function.shape if fixture.function is not None else None
            is_shared = fixture.path.endswith("conftest.py") or fixture.name in self._contracts.classes
            if is_shared and shape is not None and (shape.kind == "dict" or shape.type in BAGS):
                named[fixture.name][fixture.path, fixture.line] = fixture
        for name in sorted(name for name, places in named.items() if len(places) > 1):
            fixtures = [named[name][place] for place in sorted(named[name])]
            given_by = [
                (fixture, given.names)
                for fixture in fixtures
                if (given := self._what(fixture)) is not None and given.names is not None
            ]
            if not given_by:
                continue
            usual = Counter(names for _, names in given_by).most_common(1)[0][0]
            table = "; ".join(
                f"{fixture.path}:{fixture.line} {_differences(names, usual)}" for fixture, names in given_by
            )
            for fixture, names in given_by:
                if names != usual:
                    message = f"fixture {name!r} differs from its other providers: it {_differences(names, usual)}"
                    yield self._at(fixture, fixture, "EM207", message, table)

    def reads(self) -> Iterator[AuditFinding]:
        """Check each key and attribute that a test or a fixture reads of a fixture."""
        providers: dict[tuple[str, Read, tuple[str, int] | None], list[tuple[Fixture, list[AffectedTest]]]] = (
            defaultdict(list)
        )
        seen_reads = self._survey.seen.items()
        changed = {(where, line) for (_, read, where, line), _ in seen_reads if read.how == "change"}
        for (path, read, where, line), provider in seen_reads:
            is_contract = provider[0].name in self._contracts.classes  # of which each provider gives all
            if is_contract or (where, line) not in changed:
                providers[path, read, (where, line) if is_contract else None].append(provider)
        for (path, read, _), seen in providers.items():
            found = [self._read(read, fixture) for fixture, _ in seen]
            if found[0] and all(found):
                code, message, hint = found[0]
                tests = [test for _, each in seen for test in each]
                yield AuditFinding(path, read.line, read.column, code, message, hint, nodeids(tests), masked(tests))

    def _read(self, read: Read, fixture: Fixture) -> tuple[str, str, str] | None:
        given = self._what(fixture)
        if given is None or read.how == "change":
            return None
        where = f"{read.parameter!r}"
        by = f"{fixture.path}:{fixture.line}" if not given.is_contract else f"the contract {given.type}"
        provider = fixture.path if not given.is_contract else by
        if given.kind == "dict" and read.how == "attribute":
            message = f"{read.key!r} is read as an attribute of {where}, which is a dict"
            return "EM209", message, f"Write {read.parameter}[{read.key!r}]: {by} gives a dict"
        if given.kind == "object" and read.how != "attribute":
            message = f"{read.key!r} is read as a key of {where}, which is no mapping"
            return "EM209", message, f"Write {read.parameter}.{read.key}: {by} gives a {given.type}"
        if given.is_contract:
            is_open = read.key.startswith("model_")  # pydantic's own
        else:
            is_open = given.kind == "both" and read.how != "attribute"  # its `__getitem__` may know any key
        if given.names is None or read.key in given.names or is_open:
            return None
        contract = self._contracts.classes.get(fixture.name)
        if read.how == "get" and contract is not None and read.key in contract:
            return None  # EM201 says that it is not there; this test can do without
        message = f"{read.key!r} is read of {where}, and {provider} does not give it"
        known = sorted(name for name in given.names if not name.startswith("_"))
        spelling = _spelling(read.key, known)
        return "EM208", message, f"{spelling} {by} gives that" if spelling else f"{by} gives {_listed(known)}"

    def _what(self, fixture: Fixture) -> FixtureValue | None:
        place = (fixture.path, fixture.line)
        if place not in self._given:
            self._given[place] = self._contracts.given(fixture)
        return self._given[place]

    def _at(self, fixture: Fixture, place: Fixture | Key | Shape, code: str, message: str, hint: str) -> AuditFinding:
        tests = self._survey.users_of(fixture.path, fixture.line)
        return AuditFinding(fixture.path, place.line, place.column, code, message, hint, nodeids(tests), masked(tests))


def _types(value: Expression) -> frozenset[str]:
    """Return the types that a literal may be of; none where it is no literal."""
    match value:
        case Constant(value=None):
            return frozenset({"None"})
        case Constant(value=literal):
            return frozenset({type(literal).__name__})
        case MappingOf() | Call(function=Name(dotted="dict")):
            return frozenset({"dict"})
        case Call(function=Name(dotted="str")):
            return frozenset({"str"})
        case Items():
            return frozenset({"list", "set", "tuple"})
        case _:
            return frozenset()


def _url_host(value: Expression) -> str:
    """Return the host of a literal URL, or of the one that stands in for an unset variable."""
    match value:
        case Constant(value=str(text)):
            return host_of(text)
        case Call(function=Name(dotted=dotted), arguments=(_, Constant(value=str(text)))) if dotted.endswith(
            ("getenv", "environ.get")
        ):
            return host_of(text)
        case _:
            return ""


def _differences(names: frozenset[str], usual: frozenset[str]) -> str:
    if names == usual:
        return f"gives {_listed(sorted(names))}"
    lacks = f"lacks {_listed(sorted(usual - names))}" if usual - names else ""
    adds = f"adds {_listed(sorted(names - usual))}" if names - usual else ""
    return " and ".join(part for part in (lacks, adds) if part)


def _spelling(word: str, known: Iterable[str]) -> str:
    """Return the hint that names what was probably meant; empty where nothing is that close."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.8)
    return f"Did you mean {close[0]!r}?" if close else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more
