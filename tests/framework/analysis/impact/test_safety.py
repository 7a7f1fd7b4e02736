"""Whatever a change changes is selected: tried by running what is generated, before and after."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envmatrix.analysis.impact import FileChange, impact
from tests.framework.analysis.impact.packages import PARTS, WAYS, Package, Use, outcomes, packages
from tests.framework.analysis.impact.small import make_tree, text


def changed_and_selected(package: Package, number: int, part: str = "call") -> tuple[set[str], set[str]]:
    """The tests that come out otherwise when a part of one function's does, and those that are selected."""
    before, after = package.files(), package.files(number, part)
    was, now = outcomes(before), outcomes(after)
    path = f"pkg/m{number // 2}.py"
    change = FileChange(path, path, text(before[path]), text(after[path]))
    selected = impact([change], make_tree(after), []).selected[""]
    return {test for test, outcome in was.items() if now[test] != outcome}, set(selected)


@pytest.mark.parametrize("part", ["call", "top"])
@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_function_is_followed_to_who_uses_it(way: str, part: str) -> None:
    """In every way that Python has: by the test itself, and through another function."""
    package = Package(
        functions=[[], [], [Use(0, way)], [], []],
        registered=frozenset({0}) if way == "registered" else frozenset(),
        tests=[
            [Use(0, way)],
            [Use(4, "from")],
            [Use(2, "from")],
            [Use(0, part) for part in ("from", "class", "listed and named")],
        ],
        fixture=[],
    )
    part = {"property": "value", "listed": "listed", "listed and named": "listed"}.get(way, part)
    changed, selected = changed_and_selected(package, 0, part)
    assert {"tests/test_0.py::test_0", "tests/test_2.py::test_2"} <= changed <= selected


def test_who_uses_another_function_is_left_alone() -> None:
    """Although it imports the same file."""
    package = Package(
        functions=[[], [], [Use(0, "module")], [Use(1, "lazy")]],
        registered=frozenset(),
        tests=[[Use(0, "from")], [Use(1, "module")], [Use(2, "from")], [Use(3, "alias")]],
        fixture=[],
    )
    changed, selected = changed_and_selected(package, 0)
    assert selected == changed == {"tests/test_0.py::test_0", "tests/test_2.py::test_2"}


# Half a second and more: each of the examples imports and runs a package twice.
@settings(max_examples=40, deadline=None)
@given(packages(), st.data())
def test_every_test_that_comes_out_otherwise_is_selected(package: Package, data: st.DataObject) -> None:
    """However the functions use one another."""
    number = data.draw(st.integers(0, len(package.functions) - 1))
    changed, selected = changed_and_selected(package, number, data.draw(st.sampled_from(PARTS)))
    assert changed <= selected
