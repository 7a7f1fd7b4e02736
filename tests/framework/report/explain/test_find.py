"""Which cell is meant."""

from pathlib import Path

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.matrix.table import Matrix
from envmatrix.report.explain.find import column_named, find_test
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt, FindingRecord
from envmatrix.runs.outcomes import Outcome
from tests.framework.report.samples import HOSTILE
from tests.framework.run_files import write_run

TESTS = (
    "tests/test_a.py::test_one",
    "tests/test_a.py::test_many[1-x::y]",
    "tests/test_a.py::test_many[2]",
    "tests/test_a.py::TestGroup::test_inside[a/b]",
    "tests/sub/test_a.py::test_one_more",
    "tests/test_b.py::test_one",
    "tests/[odd]/test_c.py::test_odd",
)
UNCOLLECTED = FindingRecord(rule="H304", message="no module named x", place="tests/test_gone.py")


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    """Two runs, of which one has a test that the other has not, and an environment without one."""
    local = write_run(
        tmp_path / "l.jsonl", *(Attempt(test, Outcome.PASSED) for test in TESTS), findings=[UNCOLLECTED], label="here"
    )
    elsewhere = Attempt("tests/test_d.py::test_there", Outcome.PASSED)
    staging = write_run(tmp_path / "s.jsonl", elsewhere, environment="staging", label="staging (twin)")
    return Matrix.from_runs([local, staging], [MissingRun("auth", "auth", "left no run file")])


def find(matrix: Matrix, wanted: str, environment: str = "local") -> str:
    """The node id that is meant."""
    return find_test(matrix, column_named(matrix, environment), wanted)


@pytest.mark.parametrize("test", [*TESTS, "tests/test_d.py::test_there"])
def test_a_whole_node_id_is_itself(matrix: Matrix, test: str) -> None:
    """Also where other tests begin or end like it, and where only another environment planned it."""
    assert find(matrix, test) == test
    assert find(matrix, test, "auth") == test


@pytest.mark.parametrize(
    ("part", "test"),
    [
        ("test_many[2]", 2),
        ("test_inside", 3),
        ("TestGroup::test_inside", 3),
        ("test_a.py::test_inside", 3),
        ("test_a.py::test_inside[a/b]", 3),
        ("tests/test_a.py::test_inside", 3),
        ("./tests/test_a.py::test_one", 0),
        ("test_b.py", 5),
        ("one_more", 4),
        ("[2]", 2),
        ("odd", 6),
        ("x::y", 1),
    ],
)
def test_a_part_that_fits_one_test_is_that_test(matrix: Matrix, part: str, test: int) -> None:
    """A name, a file and a name, with or without the class between or the parameters behind."""
    assert find(matrix, part) == TESTS[test]


def test_a_more_exact_match_wins(matrix: Matrix) -> None:
    """A whole name is that test although another name begins with it."""
    assert find(matrix, "test_a.py::test_one") == TESTS[0]


def test_what_fits_several_lists_them(matrix: Matrix) -> None:
    """So that one can be copied."""
    with pytest.raises(UsageError) as refused:
        find(matrix, "test_many")
    assert str(refused.value) == f"2 tests match 'test_many'. Name one of them:\n  {TESTS[1]}\n  {TESTS[2]}"


def test_the_list_of_candidates_is_bounded(tmp_path: Path) -> None:
    """Ten are named, of each at most 200 characters; the rest is counted. None of them moves the cursor."""
    tests = [f"a.py::test_{number}[{'x' * 5000}{HOSTILE[1]}]" for number in range(25)]
    run = write_run(tmp_path / "l.jsonl", *(Attempt(test, Outcome.PASSED) for test in tests))
    with pytest.raises(UsageError) as refused:
        find(Matrix.from_runs([run]), "test_")
    lines = str(refused.value).splitlines()
    assert (len(lines), lines[-1]) == (12, "  and 15 more")
    assert max(map(len, lines)) <= 202
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ("test_ohne", "tests/test_a.py::test_one"),
        ("tests/test_a.py::test_ome", "tests/test_a.py::test_one"),
        ("test_theer", "tests/test_d.py::test_there"),
    ],
)
def test_a_misspelt_test_gets_the_nearest(matrix: Matrix, wanted: str, nearest: str) -> None:
    """By its name alone, or by the whole node id, as it was asked for."""
    with pytest.raises(UsageError) as refused:
        find(matrix, wanted)
    assert str(refused.value).startswith(f"no test '{wanted}' in here. Did you mean 'tests/test_")
    assert nearest.rpartition("::")[2] in str(refused.value)


def test_where_nothing_is_near_it_says_where_the_names_are(matrix: Matrix) -> None:
    """No guess is made."""
    with pytest.raises(UsageError, match="envmatrix show --json lists all that there are"):
        find(matrix, "qqqqqqqqqqqqqqq")


def test_where_there_is_no_run_any_test_can_be_asked_for(matrix: Matrix) -> None:
    """The answer is why there is none."""
    assert find(matrix, "test_whatever", "auth") == "test_whatever"


def test_what_could_not_be_collected_can_be_asked_for(matrix: Matrix) -> None:
    """Nobody knows whether there is such a test; its module's import is why."""
    assert find(matrix, "tests/test_gone.py::test_x[1]") == "tests/test_gone.py::test_x[1]"
    assert find(matrix, "test_gone.py") == "tests/test_gone.py"


@pytest.mark.fault("typo-environment")
def test_an_environment_has_its_name_and_its_label(matrix: Matrix) -> None:
    """A misspelt one gets the nearest name."""
    assert column_named(matrix, "staging") is column_named(matrix, "staging (twin)")
    with pytest.raises(UsageError, match=r"no run of an environment 'stagign' here\. Did you mean 'staging'\?"):
        column_named(matrix, "stagign")
