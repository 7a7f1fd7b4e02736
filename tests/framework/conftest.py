"""What every test of our own code may use."""

import pytest

from tests.framework.project import Project, make_project


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A project with one environment."""
    return make_project(pytester)
