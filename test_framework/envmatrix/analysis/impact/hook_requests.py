"""Requests for fixtures that hooks of plugins and conftests make: no parameter and no mark in a test's source shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from envmatrix.analysis.index.fixture_index import Index

_NOT_ASKING = frozenset({"", "pytest", "envmatrix"})
"""pytest and we ask for no fixture that a test does not ask for; an empty name is that of no plugin."""
_TOUCHES_TESTS = re.compile(
    rb"def pytest_(?:collection_modifyitems|itemcollected|pycollect_\w+|make_collect\w+|generate_tests|runtest_\w+|fixture_setup)\b"
)
"""Hooks that get tests, and may add requests to them."""
_COMPUTED = re.compile(
    rb"usefixtures\s*\(\s*(?![\"'\s)])|getfixturevalue\s*\(\s*(?![\"'\s)])"
    rb"|fixturenames\s*(?:\+?=(?!=)|\.(?:append|insert|extend)\(\s*(?:\d+\s*,\s*)?(?![\"'\s\d]))"
)
"""Requests of names that are not written there."""


@dataclass(frozen=True, slots=True)
class HookRequests:
    """The fixtures that the hooks of one file may request for each test that they see."""

    by: str
    """The plugin, or the conftest."""
    below: str
    """The directory of these tests, with its slash; empty for all."""
    names: frozenset[str]
    is_computed: bool
    """Whether it may request any other fixture, too."""


def hook_requests(index: Index, source: Callable[[str], bytes]) -> Iterator[HookRequests]:
    """Yield the requests of each installed plugin, and of each conftest with a hook that gets tests."""
    names = {fixture.name for fixture in index.fixtures}
    quoted = re.compile(
        b"|".join(rb"[\"']%s[\"']" % re.escape(name.encode(errors="backslashreplace")) for name in sorted(names))
        or b"(?!)"
    )

    def named_in(text: bytes) -> frozenset[str]:
        return frozenset(match[0][1:-1].decode() for match in quoted.finditer(text))

    for project in index.projects:
        overridden: Mapping[str, frozenset[str]] = {
            name: frozenset(each.plugin for each in index.outermost(project).find(name)) - _NOT_ASKING for name in names
        }
        for name, path in project.plugins:
            if name not in _NOT_ASKING:
                own = {fixture for fixture, plugins in overridden.items() if name in plugins}
                yield HookRequests(f"the plugin {name}", "", named_in(source(path)) | own, is_computed=False)
        for path in project.conftests:
            text = source(path)
            if _TOUCHES_TESTS.search(text):
                directory = path[: path.rfind("/") + 1]
                is_computed = _COMPUTED.search(text) is not None
                yield HookRequests(f"a hook of {path}", directory, named_in(text), is_computed)
