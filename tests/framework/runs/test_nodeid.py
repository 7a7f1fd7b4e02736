"""Node ids are split at the file first: a bracket before it is part of a directory's name."""

import pytest

from envmatrix.runs.nodeid import NodeId, distinct, file_of, function_of, split


@pytest.mark.parametrize(
    ("test", "parts", "function"),
    [
        ("a.py::C::test[x-1]", NodeId("a.py", "C::test", "x-1"), "a.py::C::test"),
        ("dir[1]/a.py::test", NodeId("dir[1]/a.py", "test", ""), "dir[1]/a.py::test"),
        ("a.py::test[b::c[0]]", NodeId("a.py", "test", "b::c[0]"), "a.py::test"),
        ("a.py::test[x-1]#2", NodeId("a.py", "test", "x-1"), "a.py::test"),
        ("a.py", NodeId("a.py", "", ""), "a.py"),
    ],
)
def test_each_part_is_found(test: str, parts: NodeId, function: str) -> None:
    """File, name and parameters, whatever a directory or a parameter is called."""
    assert split(test) == parts
    assert file_of(test) == parts.file
    assert function_of(test) == function


@pytest.mark.fault("equal-node-ids")
def test_equal_node_ids_are_numbered() -> None:
    """From the second on, by a name that no other test has."""
    assert distinct(["a", "a", "a#2", "b", "a"]) == ("a", "a#3", "a#2", "b", "a#4")


def test_an_endless_node_id_is_cut() -> None:
    """To one of its own, whatever its end, and the same in every run; what was cut stays as it is."""
    short, first, second = "a.py::test[1]", "a.py::test[" + "x" * 5_000 + "1]", "a.py::test[" + "x" * 5_000 + "2]"
    cut = distinct([short, first, second])
    assert cut[0] == short
    assert {len(each) for each in cut[1:]} == {4_096}
    assert len({*cut}) == 3
    assert distinct(cut) == cut == distinct([short, first, second])
