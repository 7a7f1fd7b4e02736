"""Every fixture of a tree, and who uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.analysis.index.registry import Registry
from tests.framework.analysis.trees import tree

FILES = {
    "conftest.py": """
        import pytest

        @pytest.fixture(scope="session")
        def db(tmp_path_factory):
            '''The database.'''
            return {"url": "x"}

        @pytest.fixture
        def client(db, request):
            return db
        """,
    "sub/conftest.py": """
        import pytest
        from shared import *

        @pytest.fixture
        def db(db):
            return db
        """,
    "other/conftest.py": "from shared import *\n",
    "shared.py": """
        import pytest

        @pytest.fixture(autouse=True, params=[1])
        def clock():
            return 1
        """,
    "test_top.py": "def test_top(client): ...\n",
    "sub/test_sub.py": "def test_sub(client): ...\n",
    "other/test_other.py": "def test_other(): ...\n",
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The registry of that tree."""
    return Registry.of(tree(tmp_path, FILES))


def test_each_definition_is_a_provider(registry: Registry) -> None:
    """Those of plugins only where a test reaches them."""
    assert {name: [each.path for each in providers] for name, providers in registry.by_name.items()} == {
        "client": ["conftest.py"],
        "clock": ["shared.py"],
        "db": ["conftest.py", "sub/conftest.py"],
        "tmp_path_factory": [""],
    }
    assert "tmp_path_factory" not in registry.own.by_name


def test_users_are_those_whom_it_answers(registry: Registry) -> None:
    """What an override hides is still reached through it; autouse has users that never asked."""
    outer, inner = registry.by_name["db"]
    assert outer.users == ("sub/test_sub.py::test_sub", "test_top.py::test_top")
    assert inner.users == ("sub/test_sub.py::test_sub",)
    assert registry.by_name["clock"][0].users == ("other/test_other.py::test_other", "sub/test_sub.py::test_sub")


def test_what_is_known_of_one(registry: Registry) -> None:
    """Scope, where it is seen, what it yields and needs, its first line of documentation."""
    outer, inner = registry.by_name["db"]
    assert (outer.scope, outer.document, outer.yields) == ("session", "The database.", "dict with url")
    assert outer.needs == ("tmp_path_factory",)
    assert inner.needs_places == (outer.place,)
    (clock,) = registry.by_name["clock"]
    assert clock.visible == ("other", "sub")
    assert (clock.is_autouse, clock.has_params) == (True, True)
    assert registry.by_name["client"][0].needs == ("db",)


def test_around_a_fixture_is_what_it_is_made_of_and_what_is_made_of_it(registry: Registry) -> None:
    """Nothing else."""
    assert [each.name for each in registry.around("client").own.providers] == ["client", "db", "db"]
    assert [each.name for each in registry.around("clock").providers] == ["clock"]
