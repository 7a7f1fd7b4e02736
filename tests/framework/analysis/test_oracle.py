"""The oracle's comparer: each way in which our answer may differ from pytest's has its verdict."""

from pathlib import Path

import pytest

from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from tests.framework.analysis.test_against_pytest import compared
from tests.framework.analysis.trees import tree
from tests.oracle.compare import Account, Chain, Verdict, compare
from tests.oracle.plant import How, plant

TREE = {
    "pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\n",
    "conftest.py": "import pytest\n@pytest.fixture\ndef port():\n    return 1\n",
    "test_a.py": "def test_a(port): ...\n",
}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """A test that asks for a fixture which is there, and one which is not."""
    return tree(tmp_path.resolve(), {**TREE, "test_a.py": "def test_a(port, gone): ...\n"})


def account(index: Index, requests: dict[str, Chain | None], *left: str) -> Account:
    """Return what pytest would have said of the one test, and what it could not collect."""
    key = (str(index.root / "test_a.py"), "test_a")
    return Account(index.root, "", "", {key: requests}, {key: {}}, left)


def test_each_way_to_differ_has_its_verdict(index: Index) -> None:
    """Of two answers, one is changed at a time."""
    here: Chain = ((str(index.root / "conftest.py"), 2),)
    elsewhere: Chain = ((str(index.root / "conftest.py"), 9),)
    for port, gone, verdict in (
        (here, elsewhere, Verdict.FALSE),
        ((), (), Verdict.MISSED),
        (elsewhere, (), Verdict.WRONG),
    ):
        found = compare(account(index, {"port": port, "gone": gone}), index)
        assert found.counts == {Verdict.AGREE: 1, verdict: 1}
        assert [each.verdict for each in found.differences] == [verdict]
        assert not found.is_right


def test_what_only_pytest_resolves_or_collects_is_told(index: Index) -> None:
    """A request that we did not see, and a test that we did not."""
    here: Chain = ((str(index.root / "conftest.py"), 2),)
    theirs = account(index, {"port": here, "gone": (), "other": here, "lost": ()})
    theirs.tests["elsewhere.py", "test_b"] = {}
    found = compare(theirs, index)
    assert found.counts == {Verdict.AGREE: 2, Verdict.UNTOLD: 1, Verdict.MISSED: 1}
    assert found.only_pytest == [("elsewhere.py", "test_b")]


def test_a_test_that_pytest_does_not_collect_is_told_unless_it_could_not(index: Index) -> None:
    """A file that does not import is in neither account."""
    nothing = account(index, {})
    nothing.tests.clear()
    found = compare(nothing, index)
    assert (found.only_ours, found.left) == ([(str(index.root / "test_a.py"), "test_a")], 0)
    nothing = account(index, {}, "test_a.py")
    nothing.tests.clear()
    found = compare(nothing, index)
    assert (found.only_ours, found.left) == ([], 1)


def test_a_fixture_under_a_condition_is_right_or_unknown(tmp_path: Path) -> None:
    """Pytest knows whether it was made; we never say that it surely was."""
    conftest = "import pytest, os\nif os.name:\n    @pytest.fixture\n    def port():\n        return 1\n"
    index = tree(tmp_path.resolve(), {**TREE, "conftest.py": conftest})
    here: Chain = ((str(index.root / "conftest.py"), 3),)
    for answer, verdict in ((here, Verdict.AGREE), ((), Verdict.UNKNOWN)):
        assert compare(account(index, {"port": answer}), index).counts == {verdict: 1}


def test_where_all_agree_nothing_differs(index: Index) -> None:
    """A fixture that both find, and one that neither does."""
    here: Chain = ((str(index.root / "conftest.py"), 2),)
    found = compare(account(index, {"port": here, "gone": ()}), index)
    assert (found.counts, found.differences, found.missing) == ({Verdict.AGREE: 2}, [], 1)
    assert found.is_right


def test_what_planting_takes_away_is_missing_to_pytest(tmp_path: Path) -> None:
    """However it is done; a tree as it was has nothing missing."""
    whole = tmp_path.resolve() / "whole"
    assert compared(whole, TREE).missing == 0
    ours: list[Fixture] = [each for each in tree(whole, TREE).fixtures if each.name == "port"]
    assert ours
    done = set()
    for seed in range(12):
        root = tmp_path.resolve() / str(seed)
        root.mkdir()
        (planted,) = plant(root, tree(root, TREE), 1, seed)
        if planted.how in done:
            continue
        done.add(planted.how)
        found = compared(root, {"pytest.ini": TREE["pytest.ini"]})
        assert (found.missing, found.differences) == (1, []), planted
    assert done == set(How)
