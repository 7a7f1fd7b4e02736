"""EM2xx on trees that are read and never run."""

from pathlib import Path

import pytest

from envmatrix.analysis.audit.rules.contract import RULES, findings
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.contracts import RealLLM
from tests.framework.analysis.audit.rules.pages import PARTS, Page
from tests.framework.analysis.trees import declare, tree


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_page_of_a_rule_says_what_it_finds(tmp_path: Path, rule: AuditRule) -> None:
    """The bad example is found just as the page shows it; the good one is not."""
    page = Page.of(rule.code, tmp_path, findings)
    assert page.title == f"{rule.code}: {rule.name}"
    assert page.parts == PARTS
    assert page.bad == page.shown
    assert page.good == ""


def found(root: Path, *codes: str, **files: str) -> list[str]:
    """Write files, `a__b` for a/b.py, and return what rules find, in short."""
    index = tree(root, {f"{name.replace('__', '/')}.py": text for name, text in files.items()})
    return [
        f"{each.path}:{each.line} {each.message}"
        for each in sorted(findings(index, Survey.of(index)))
        if not codes or each.code in codes
    ]


UNASKED = "is hard-coded: it says True also where nothing is there"
FULL = "def real_llm(): return " + repr(dict.fromkeys(RealLLM.model_fields))
FIXTURE = "import pytest\n@pytest.fixture\n"


def test_a_provider_with_every_field_lacks_nothing(tmp_path: Path) -> None:
    """Whether it gives a dict, or an object of a class that has them."""
    declare(tmp_path)
    fields = "\n".join(f"  {name}: object" for name in RealLLM.model_fields)
    assert found(tmp_path, "EM201", "EM202", a__conftest=FIXTURE + FULL, a__test_a="def test(real_llm): ...") == []
    source = f"class Mine:\n{fields}\n{FIXTURE}def real_llm(): return Mine()"
    assert found(tmp_path, "EM201", "EM202", a__conftest=source) == []
    shorter = source.replace("  model: object\n", "")
    assert found(tmp_path, "EM201", a__conftest=shorter) == [
        "a/conftest.py:12 fixture 'real_llm' lacks 'model' of the contract RealLLM"
    ]


def test_without_environments_a_contracts_name_may_be_anybodys(tmp_path: Path) -> None:
    """What it lacks of our contract, or has beyond it, is said only where an environment is declared."""
    files = {"conftest": f"{FIXTURE}def real_llm(): return {{'x': 1}}"}
    assert found(tmp_path, "EM201", "EM202", **files) == []
    declare(tmp_path)
    assert len(found(tmp_path, "EM201", "EM202", **files)) == 2


def test_nothing_is_lacking_where_more_may_be_there(tmp_path: Path) -> None:
    """Of a dict that somebody else fills, or a class that cannot be read, only what is seen is judged."""
    source = "def real_llm(make):\n  d = {'llm_available': True}\n  make(d)\n  return d"
    assert found(tmp_path, conftest=FIXTURE + source) == [
        f"conftest.py:4 'llm_available' of fixture 'real_llm' {UNASKED}"
    ]


def test_a_projects_own_contract_is_the_one_that_holds(tmp_path: Path) -> None:
    """It is found by its settings and read, never imported."""
    (tmp_path / "pyproject.toml").write_text('[tool.envmatrix.contracts]\nreal_shop = "shop:Shop"\n')
    assert found(
        tmp_path,
        shop="from envmatrix.contracts import Contract\nclass Shop(Contract):\n  port: int\nraise SystemExit",
        conftest=f"import shop\n{FIXTURE}def real_shop(): return {{'environment': 'x', 'port': '80', 'host': 'h'}}",
        test_a="def test(real_shop): assert real_shop['port']",
    ) == [
        "conftest.py:4 'port' of fixture 'real_shop' is of type str, the contract says int",
        "conftest.py:4 fixture 'real_shop' has 'host', which the contract Shop does not know",
    ]


def test_a_value_that_a_name_stands_for_is_seen(tmp_path: Path) -> None:
    """A constant of the module, or of another one; a parameter of that name is not the constant."""
    assert found(
        tmp_path,
        "EM204",
        "EM205",
        places="UP = True\nURL = 'https://shop.io'",
        a__conftest=f"from places import UP, URL\n{FIXTURE}def real_services(): "
        "return {'redis_available': UP, 'backend_url': URL}",
        b__conftest=f"from places import UP\n{FIXTURE}def real_services(UP): return {{'redis_available': UP}}",
        there="URL = 'https://shop.io'",
        c__conftest=f"import there\n{FIXTURE}def real_services(): return {{'backend_url': there.URL}}",
    ) == [
        f"a/conftest.py:4 'redis_available' of fixture 'real_services' {UNASKED}",
        "a/conftest.py:4 'backend_url' of fixture 'real_services' is hard-coded: shop.io is one environment's",
        "c/conftest.py:4 'backend_url' of fixture 'real_services' is hard-coded: shop.io is one environment's",
    ]


def test_a_read_is_judged_by_the_provider_that_the_test_sees(tmp_path: Path) -> None:
    """One function, collected in two directories, is right in one of them only."""
    body = "def test(real_llm):\n  assert real_llm['model']"
    assert found(
        tmp_path,
        "EM208",
        "EM209",
        conftest=f"from types import SimpleNamespace\n{FIXTURE}def real_llm(): return SimpleNamespace(model=1)",
        a__conftest=f"{FIXTURE}def real_llm(): return {{'model': 1}}",
        b__conftest=f"{FIXTURE}def real_llm(): return {{'url': 1}}",
        a__test_a=body,
        b__test_b=body,
        test_top=body,
    ) == [
        "b/test_b.py:2 'model' is read of 'real_llm', and b/conftest.py does not give it",
        "test_top.py:2 'model' is read as a key of 'real_llm', which is no mapping",
    ]


@pytest.mark.parametrize(("decorator", "count"), [("as_object", 0), ("pytest.mark.slow", 1)])
def test_what_a_decorator_makes_of_a_fixture_is_unknown(tmp_path: Path, decorator: str, count: int) -> None:
    """It may give something else than the function returns; a mark does not."""
    declare(tmp_path)
    conftest = f"{FIXTURE}@{decorator}\ndef real_llm(): return {{}}"
    test = "def test(real_llm): assert real_llm.model"
    assert len(found(tmp_path, "EM201", "EM209", conftest=conftest, test_a=test)) == 2 * count


def test_a_fixture_reads_the_one_that_it_overrides(tmp_path: Path) -> None:
    """Not itself."""
    assert found(
        tmp_path,
        "EM208",
        conftest=f"{FIXTURE}def real_llm(): return {{'model': 1}}",
        a__conftest=f"{FIXTURE}def real_llm(real_llm): return {{'name': real_llm['model'], 'x': real_llm['y']}}",
        a__test_a="def test(real_llm): assert real_llm['name']",
    ) == ["a/conftest.py:3 'y' is read of 'real_llm', and conftest.py does not give it"]


def test_get_may_ask_for_a_field_of_the_contract(tmp_path: Path) -> None:
    """Its provider is told that it lacks the field; a name that no contract has is a slip of the pen."""
    assert found(
        tmp_path,
        "EM208",
        conftest=f"{FIXTURE}def real_llm(): return {{'model': 1}}",
        test_a="def test(real_llm): assert real_llm.get('base_url') or real_llm.get('modle')",
    ) == ["test_a.py:1 'modle' is read of 'real_llm', and conftest.py does not give it"]


ACCOUNT = f"{FIXTURE}def account(): return {{'id': 1, 'name': 'x'}}\n"


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("account['id']", ""),
        ("account.get('id')", ""),
        ("account.items()", ""),
        ("account['mail']", "'mail' is read of 'account', and conftest.py does not give it"),
        ("account.name", "'name' is read as an attribute of 'account', which is a dict"),
        ("'mail' in account and account['mail']", ""),
    ],
)
def test_any_fixture_of_a_known_value_is_held_against_what_is_read_of_it(
    tmp_path: Path, read: str, message: str
) -> None:
    """In tests, in methods, in other fixtures: of a dict, keys that it has."""
    test = f"{FIXTURE}def other(account):\n    {read}\nclass TestA:\n    def test_a(self, account, other):\n        {read}\n"
    expected = [f"test_a.py:{line} {message}" for line in (4, 7)] if message else []
    assert found(tmp_path, "EM208", "EM209", conftest=ACCOUNT, test_a=test) == expected


@pytest.mark.parametrize(("mail", "count"), [("'mail': 'y'", 0), ("'phone': 'y'", 1)])
def test_a_key_that_one_of_several_providers_gives_is_no_finding(tmp_path: Path, mail: str, count: int) -> None:
    """A fixture reads it for the tests of two directories; only where all of them lack it, it is surely wrong."""
    reader = f"{ACCOUNT}@pytest.fixture\ndef mail(account): return account['mail']\n"
    override = f"{FIXTURE}def account(): return {{'id': 1, {mail}}}\n"
    test = "def test_a(mail): ..."
    files = {"conftest": reader, "a__test_a": test, "b__conftest": override, "b__test_b": test}
    assert len(found(tmp_path, "EM208", **files)) == count


MADE = """
import collections
from dataclasses import dataclass
from typing import NamedTuple, TypedDict
from types import SimpleNamespace
import pytest
Point = collections.namedtuple("Point", "x, y")
Line = collections.namedtuple("Line", ["x", "y"], defaults=[2])
Any = collections.namedtuple("Any", "x y".split())
class Pair(NamedTuple):
    x: int
class Base(TypedDict):
    x: int
class Keys(Base, total=False):
    y: int
@dataclass
class Data:
    x: int
@pytest.fixture
def it(): return {value}
def test_a(it): {read}
"""


@pytest.mark.parametrize(
    ("value", "read", "code"),
    [
        ("Point(1, 2)", "it.x, it.y, it.count(1), it.index(1), it._replace(x=2), it[0]", ""),
        ("Point(1, 2)", "it.z", "EM208"),
        ("Point(1, 2)", "it['x']", "EM209"),
        ("Line(1)", "it.y", ""),
        ("Line(1)", "it.z", "EM208"),
        ("Any(1, 2)", "it.x", ""),
        ("Pair(1)", "it.x, it.count(1), it._asdict()", ""),
        ("Pair(1)", "it.y", "EM208"),
        ("Keys(x=1)", "it['x'], it.get('y'), it.keys()", ""),
        ("Keys(x=1)", "it['z']", "EM208"),
        ("Keys(x=1)", "it.x", "EM209"),
        ("Keys({'z': 1})", "it['z']", ""),
        ("Data(1)", "it.x", ""),
        ("Data(1)", "it.y", "EM208"),
        ("SimpleNamespace(x=1)", "it.x", ""),
        ("SimpleNamespace(x=1)", "it.y", "EM208"),
    ],
)
def test_a_read_of_a_tuple_or_object_with_named_fields_is_judged_as_pytest_does(
    tmp_path: Path, pytester: pytest.Pytester, value: str, read: str, code: str
) -> None:
    """What is a finding fails in a run, and nothing else does."""
    source = MADE.format(value=value, read=read)
    index = tree(tmp_path, {"test_a.py": source})
    assert [each.code for each in findings(index, Survey.of(index))] == [code] * bool(code)
    pytester.makepyfile(test_a=source)
    pytester.runpytest_inprocess().assert_outcomes(passed=not code, failed=bool(code))


def test_an_object_of_a_class_beside_the_fixture_has_its_attributes(tmp_path: Path) -> None:
    """One that is not there, or that is read as a key."""
    conftest = f"class Account:\n    def __init__(self): self.id = 1\n{FIXTURE}def account(): return Account()\n"
    test = "def test_a(account): account.id, account.mail, account['id']\n"
    assert [each.partition(" ")[2] for each in found(tmp_path, "EM208", "EM209", conftest=conftest, test_a=test)] == [
        "'mail' is read of 'account', and conftest.py does not give it",
        "'id' is read as a key of 'account', which is no mapping",
    ]


@pytest.mark.parametrize(
    "change",
    [
        "def test_b(options): options['b'] = 1",
        "@pytest.fixture\ndef more(options): options.update(b=1)\ndef test_b(more): use(more)",
        "def test_b(options):\n  fill(options)",
        "def test_b(options):\n  fill(into=options)",
    ],
)
def test_a_dict_that_somebody_changes_may_have_any_key(tmp_path: Path, change: str) -> None:
    """By itself, or by what it is handed on to: then nobody's read of it is unknown; a copy changes nothing."""
    read = "def test_a(options): assert options['b']\n"
    for more, count in ((change, 0), ("def test_b(options): fill(**options, n=len(options))", 1)):
        source = f"import pytest\n@pytest.fixture\ndef options(): return {{'a': 1}}\n{read}{more}"
        assert len(found(tmp_path, "EM208", test_a=source)) == count
