"""What a test's body is."""

import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.plugin.body_digests import body_digest
from tests.framework.project import Project


def function(source: str) -> Callable[..., object]:
    """The one function of a source."""
    names: dict[str, object] = {}
    exec(compile(textwrap.dedent(source), "made_up.py", "exec"), names)
    return next(value for name, value in names.items() if name.startswith("test"))  # type: ignore[return-value]


ONE = "def test_one(users):\n    'Says one.'\n    assert len([user for user in users if user in {'a', 'b'}]) == 2\n"


@pytest.mark.parametrize(
    "other",
    [
        ONE.replace("test_one", "test_two"),
        ONE.replace("Says one.", "Says another."),
        f"\n\n# moved\n{ONE}",
        ONE.replace("== 2", "== (  # why\n2)"),
    ],
    ids=["name", "docstring", "place", "layout"],
)
def test_a_body_is_the_same_whatever_its(other: str) -> None:
    """Name, docstring, lines around it, and how it is laid out."""
    assert body_digest(function(ONE)) == body_digest(function(other))


@pytest.mark.parametrize(
    "other",
    [
        ONE.replace("== 2", "== 3"),
        ONE.replace("'b'", "'c'"),
        ONE.replace("len", "sum"),
        ONE.replace("users", "people"),
        ONE.replace("user in {", "user not in {"),
    ],
    ids=["constant", "constant within", "name", "fixture", "operator"],
)
def test_a_body_is_another_with_another(other: str) -> None:
    """Constant, name, fixture or operator, also of a function or comprehension within."""
    assert body_digest(function(ONE)) != body_digest(function(other))


def test_a_class_within_does_not_tell_the_tests_name() -> None:
    """Its own qualified name is a constant of the body."""
    source = "def test_one():\n    class Inner:\n        def f(self): return 1\n    assert Inner().f()\n"
    assert body_digest(function(source)) == body_digest(function(source.replace("test_one", "test_two")))


def test_two_hypothesis_tests_are_not_alike() -> None:
    """What hypothesis wraps around every test is not its body."""

    @given(st.integers())
    def test_one(number: int) -> None:
        assert number == number + 0

    @given(st.integers())
    def test_two(number: int) -> None:
        assert number == number - 0

    assert body_digest(test_one) != body_digest(test_two)


def test_what_is_no_function_has_no_body() -> None:
    """A doctest, or an item of somebody's own."""
    assert body_digest(None) == ""


def test_a_body_is_the_same_in_every_process() -> None:
    """Whatever the seed of hashes: a set's order is not the body's."""
    program = f"from envmatrix.plugin.body_digests import body_digest\n{ONE}\nprint(body_digest(test_one))"
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert said != {""}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_tells_the_bodies_with_and_without_workers(project: Project, workers: str) -> None:
    """Each planned test has one; the cases of a parametrized test share it, a method has its own."""
    project.write(
        "test_a.py",
        """
        import pytest

        def test_one(): assert str(1) == "1"
        @pytest.mark.parametrize("number", [1, 2])
        def test_cases(number): assert number
        class TestClass:
            def test_one(self): assert str(2)
        def test_left_out(): pass
        """,
    )
    project.pytest("-n", workers, "-k", "not left_out")
    bodies = project.run.bodies
    assert list(bodies) == list(project.run.header.planned)
    assert len(set(bodies.values())) == 3
    assert all(bodies.values())
    assert bodies["test_a.py::test_cases[1]"] == bodies["test_a.py::test_cases[2]"]
