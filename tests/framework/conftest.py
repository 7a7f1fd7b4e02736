"""What every test of our own code may use."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.framework.bare import Bare, make_bare
from tests.framework.project import Project, make_project


def pytest_sessionstart() -> None:
    """Have Ctrl-C reach what the tests start, also where it is ignored here, as in a shell's background job."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def umask() -> Iterator[Callable[[int], object]]:
    """Sets the umask until the test has ended."""
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A project with one environment."""
    return make_project(pytester)


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """A project with two environments without services, and one test."""
    return make_bare(tmp_path)
