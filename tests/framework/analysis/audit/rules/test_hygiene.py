"""EM3xx on trees that are read and never run."""

from pathlib import Path

import pytest

from envmatrix.analysis.audit.rules.hygiene import RULES, findings
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import Survey
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


def test_a_mark_of_ours_is_advised_only_where_there_are_environments(tmp_path: Path) -> None:
    """Elsewhere nothing knows `requires`."""
    source = {"test_a.py": "import pytest\ndef test(up):\n  if not up['redis_available']:\n    pytest.skip('no')"}
    for is_declared in (False, True):
        index = tree(tmp_path, source)
        (one,) = findings(index, Survey.of(index))
        assert ("requires" in one.hint) is is_declared
        declare(tmp_path)


def found(root: Path, *codes: str, **files: str) -> list[str]:
    """Write files, `a__b` for a/b.py, and return what rules find, in short."""
    index = tree(root, {f"{name.replace('__', '/')}.py": text for name, text in files.items()})
    return [
        f"{each.path}:{each.line} {each.code} {len(each.tests)}"
        for each in sorted(findings(index, Survey.of(index)))
        if not codes or each.code in codes
    ]


FIXTURE = "import pytest\n@pytest.fixture\n"


def test_only_what_pytest_collects_is_judged(tmp_path: Path) -> None:
    """A helper without a body is no test, and a helper may skip; nor is a plugin's fixture ours to document."""
    assert (
        found(
            tmp_path,
            helpers="def test_like(): pass\nAPI_URL = 'https://shop.io'",
            test_a="from helpers import API_URL\nclass Helper:\n  def test_it(self): pass\ndef helper(): pass",
        )
        == []
    )


def test_a_unit_test_speaks_to_no_host(tmp_path: Path) -> None:
    """Its URLs are made up, whoever they belong to; and without environments, no test has a better place for one."""
    source = "API_URL = 'https://shop.io'\ndef test(): run(API_URL)"
    assert found(tmp_path, "EM303", tests__units_of__test_b=source) == []
    declare(tmp_path)
    assert found(tmp_path, "EM303", tests__unit__test_a=source, tests__units_of__test_b=source) == [
        "tests/units_of/test_b.py:1 EM303 0"
    ]


def test_an_empty_test_may_be_there_for_its_fixtures(tmp_path: Path) -> None:
    """Those it asks for, those of its marks, and those that its own file runs of themselves; or a mark says that it is not."""
    auto = "import pytest\n@pytest.fixture(autouse=True)\ndef check(): run()\n"
    assert found(
        tmp_path,
        "EM308",
        conftest=f"{FIXTURE}def one(): ...",
        test_asks="def test(one): pass",
        test_marks="import pytest\n@pytest.mark.usefixtures('one')\ndef test(): pass",
        test_auto=f"{auto}def test(): pass",
        test_skip="import pytest\n@pytest.mark.skip(reason='later')\ndef test(): pass",
        test_values="import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test(x): pass",
        test_empty="class TestIt:\n  def test(self): pass",
    ) == ["test_empty.py:2 EM308 1", "test_values.py:3 EM308 1"]


def test_a_test_that_is_inherited_is_one_finding(tmp_path: Path) -> None:
    """It stands where the source is, and counts every class that collects it."""
    base = "class Base:\n  def test(self):\n    r = get()\n    if r.ok:\n      assert r.text"
    assert found(
        tmp_path, base=base, test_a="from base import Base\nclass TestA(Base): ...\nclass TestB(Base): ..."
    ) == ["base.py:4 EM306 2"]


def test_a_fixture_that_hides_a_failure_counts_its_tests(tmp_path: Path) -> None:
    """Also those that reach it through another fixture."""
    source = f"{FIXTURE}def one():\n  '''One.'''\n  try: return make()\n  except Exception: return None\n"
    assert found(
        tmp_path,
        conftest=f"{source}@pytest.fixture\ndef two(one):\n  '''Two.'''\n  return one.two",
        test_a="def test_one(one): run()\ndef test_two(two): run()",
    ) == ["conftest.py:6 EM304 2"]
