"""The formats that there are."""

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.report.matrix import FORMATS, reporter


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_maker(name: str) -> None:
    """Each module named in the table has its function."""
    assert callable(reporter(name))


def test_an_unknown_format_names_the_nearest() -> None:
    """One line, exit code 2."""
    with pytest.raises(UsageError) as caught:
        reporter("markdwon")
    assert str(caught.value) == "no format 'markdwon'. Did you mean 'markdown'?"
    assert caught.value.exit_code == 2
