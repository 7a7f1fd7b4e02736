"""A name that comes from a file never becomes a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import UsageError
from envmatrix.safety.names import check_name, is_name


@pytest.mark.parametrize("name", ["local", "staging-eu", "auth_service", "v1.2", "7", "A" * 100])
def test_a_name_is_returned_as_it_is(name: str) -> None:
    """Letters, digits, dots, lines and underscores."""
    assert check_name(name) == name


@pytest.mark.fault("name-as-path")
@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "../x", "/x", "a/b", "a\\b", "a\0b", "a\n", "a b", "ä", "*", "A" * 101]
)
def test_what_is_no_name_is_refused_in_one_line(name: str) -> None:
    """The error says which letters a name has."""
    with pytest.raises(UsageError, match=r"\A'.*' is no name of an environment\. A name has letters .*\Z"):
        check_name(name)


@pytest.mark.fault("name-as-path")
@given(st.text())
def test_no_name_leads_anywhere(name: str) -> None:
    """Whatever the text: a name is one visible component of a path."""
    if is_name(name):
        assert not {"/", "\\", "\0"} & {*name}
        assert name.isprintable()
        assert not name.startswith(".")
