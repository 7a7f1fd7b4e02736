"""Which formats there are."""

import pytest

from envmatrix.exceptions import UsageError
from envmatrix.report.audit import FORMATS, reporter
from tests.framework.report.audit.samples import everything


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_makes_text_that_ends_in_a_newline(name: str) -> None:
    """Whatever makes it."""
    assert reporter(name)(everything()).endswith("\n")


def test_a_format_that_there_is_not() -> None:
    """Is a usage error with the nearest spelling."""
    with pytest.raises(UsageError, match=r"no format 'srif'\. Did you mean 'sarif'"):
        reporter("srif")
