"""A pytest plugin that records, for every test, which fixture definition answers each request.

`PYTHONPATH=<this directory> FIXTURE_ORACLE=<file> python -m pytest --collect-only -p fixture_oracle`. It needs nothing but
pytest, for it runs in the environments of other projects. JSON lines: `begin`, one `test` for each test function
(parametrized variants are one), `left` for each file or class that pytest could not collect, `end`.
"""

import contextlib
import functools
import inspect
import json
import os
import sys
from pathlib import Path

import pytest

OWN = ("_xunit_", "_unittest_", "xunit_setup", "unittest_setUpClass")
"""Names of the fixtures that pytest makes for `setup_method` and its like: nobody asks for them."""
DIRECT = ("DirectParamFixtureDef", "PseudoFixtureDef")


class Oracle:
    """Writes each test when it is collected, since a large suite does not fit twice into memory."""

    def __init__(self, config, path):
        self.config = config
        self.file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 -- closed at the session's end
        self.seen = set()
        self.places = {}
        self.write(
            kind="begin",
            root=str(config.rootpath),
            pytest=pytest.__version__,
            python=".".join(map(str, sys.version_info[:3])),
        )

    def write(self, **row):
        """Write one line."""
        self.file.write(json.dumps(row) + "\n")

    def pytest_itemcollected(self, item):
        """Take down a test before anything deselects it."""
        if not isinstance(item, pytest.Function):
            return
        classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        name = getattr(item, "originalname", None) or item.name
        key = (item.path, *classes, name)
        if key in self.seen:
            return
        self.seen.add(key)
        info = item._fixtureinfo
        requests = {}
        for asked in info.names_closure:
            if asked == "request" or asked.startswith(OWN):
                continue
            fixtures = info.name2fixturedefs.get(asked) or ()
            requests[asked] = "direct" if any(map(_is_direct, fixtures)) else self.chain(fixtures)
        dynamic = {}
        functions = [item.obj, *(each.func for defs in info.name2fixturedefs.values() for each in defs)]
        for literal in {text for function in functions for text in _literals(function)}:
            fixtures = item.session._fixturemanager.getfixturedefs(literal, item)
            dynamic[literal] = self.chain(fixtures or ())
        self.write(
            kind="test",
            path=os.path.relpath(item.path, self.config.rootpath).replace(os.sep, "/"),
            classes=classes,
            name=name,
            line=self.place(item.obj)[1],
            requests=requests,
            dynamic=dynamic,
        )

    def pytest_collectreport(self, report):
        """Take down what could not be collected: nothing is known of what is in it."""
        if not report.passed:
            self.write(kind="left", nodeid=report.nodeid, outcome=report.outcome, why=str(report.longrepr)[-300:])

    def pytest_sessionfinish(self, exitstatus):
        """End the record; one without its end is not whole."""
        self.write(kind="end", exitstatus=int(exitstatus))
        self.file.close()

    def chain(self, fixtures):
        """Return where the fixtures of one name are defined, nearest first."""
        return [self.place(fixture.func) for fixture in reversed(fixtures)]

    def place(self, function):
        """Return the file and the line where a function's code begins, with its first decorator."""
        try:
            return self.places[function]
        except (KeyError, TypeError):
            pass
        found = _place(function)
        with contextlib.suppress(TypeError):
            self.places[function] = found
        return found


def _is_direct(fixture):
    return type(fixture).__name__ in DIRECT or getattr(fixture.func, "__name__", "") == "get_direct_param_fixture_func"


def _code(function):
    while isinstance(function, functools.partial):
        function = function.func
    with contextlib.suppress(ValueError):
        function = inspect.unwrap(getattr(function, "__func__", function))
    return getattr(function, "__code__", None)


def _place(function):
    code = _code(function)
    return [os.path.realpath(code.co_filename), code.co_firstlineno] if code else ["", 0]


@functools.cache
def _literals_of(code):
    """Return the words in a function that calls `getfixturevalue`: one of them may be what it asks for."""
    if "getfixturevalue" not in code.co_names:
        return frozenset()
    return frozenset(each for each in code.co_consts if isinstance(each, str) and each.isidentifier())


def _literals(function):
    code = _code(function)
    return _literals_of(code) if code else frozenset()


def pytest_configure(config):
    """Take part where a file is named."""
    path = os.environ.get("FIXTURE_ORACLE")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Oracle(config, path), "fixture-oracle-recorder")
