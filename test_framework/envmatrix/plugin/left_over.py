"""Fail a test that passed and left something behind for the next one, or list what it left."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import pytest

from envmatrix.exceptions import LeftOverError
from envmatrix.plugin.collection import NEEDS
from envmatrix.plugin.note import add_note, note_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

    from envmatrix.plugin.process import Process
    from envmatrix.plugin.process_resources import Resources
    from envmatrix.services.kinds.left import Left

LEFT = pytest.StashKey[list["Left"]]()
"""What an item left in the services."""


class LeftOver:
    """Has tests watched where any needs the environment, and lists at the end what was left without failing."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin to watch; where nothing that was collected needs the environment, tests pay nothing."""
        mode = self._process.selection.project.left_over
        if mode != "ignore" and any(NEEDS in item.stash for item in session.items):
            session.config.pluginmanager.register(Watch(self._process, fails=mode == "fail"), "envmatrix-watch")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List what was left where that does not fail; a worker of xdist has told by its reports."""
        if self._process.selection.project.left_over != "list":
            return
        for reports in terminalreporter.stats.values():
            for report in reports:
                if isinstance(report, pytest.TestReport) and (left_over := note_of(report).left_over):
                    terminalreporter.line(f"warning: {left_over}")


class Watch:
    """Compare this process before and after each test that needs the environment.

    A test that failed keeps its own failure, whatever it left; what it had not finished is said beside it.
    """

    def __init__(self, process: Process, *, fails: bool) -> None:
        self._process = process
        self._config = process.config
        self._fixtures = process.selection.contract_fixtures
        self._guard = process.guard
        self._fails = fails
        self._loops: WeakSet[AbstractEventLoop] = WeakSet()
        """Those that fixtures of pytest-asyncio gave."""
        self._broad: WeakSet[pytest.FixtureDef[Any]] = WeakSet()
        """The fixtures of broader scopes than a test's."""
        self._before: Resources | None = None
        self._lists: dict[int, int] = {}
        """The lists of the test's own module, and their lengths before it."""
        self._tasks: list[Task[Any]] = []
        """Tasks that ran at the test's end and that no fixture has ended yet."""
        self._passed = False
        self._left_over = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        """Look before the test's fixtures are set up."""
        self._passed, self._before, self._tasks, self._left_over = False, None, [], ""
        item.stash[LEFT] = []  # a test that is tried again has one already
        if NEEDS in item.stash:
            with self._guard:
                self._begin(item)
        yield

    def _begin(self, item: pytest.Item) -> None:
        from envmatrix.plugin.process_resources import Resources

        self._lists = {id(each): len(each) for each in _lists_of(item)}
        self._before = Resources.now(self._loops)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Count what a fixture of a broader scope makes as there before the test; note the event loops."""
        broad = fixturedef.scope != "function"
        before = None
        with self._guard:
            if broad:
                self._broad.add(fixturedef)
                before = self._look()
        value = yield
        with self._guard:
            if "asyncio" in sys.modules:
                self._note_loop(value)
            if before is not None and self._before is not None and (after := self._look()) is not None:
                self._before = self._before.plus(after.without(before))
            if self._before is None and fixturedef.argname in self._fixtures and isinstance(request.node, pytest.Item):
                self._begin(request.node)  # asked for while the test runs
        return value

    def _look(self) -> Resources | None:
        return type(self._before).now(self._loops) if self._before is not None else None

    def _note_loop(self, value: object) -> None:
        from asyncio import AbstractEventLoop, Runner

        # By its type: a proxy's __class__ may be what it has not got yet.
        if issubclass(type(value), Runner):
            value = cast("Runner", value).get_loop()
        if issubclass(type(value), AbstractEventLoop):
            self._loops.add(cast("AbstractEventLoop", value))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Look after the test's fixtures are torn down; their own errors take precedence."""
        __tracebackhide__ = True
        left: tuple[str, ...] = ()
        with self._guard:
            if self._passed and self._before is not None:
                self._note_tasks()
        yield
        warning: Warning | None = None
        with self._guard:
            try:
                left = tuple(map(str, self._unexpected(item) if self._passed else _unfinished(item)))
            except Warning as raised:  # of garbage of the test, where the project makes warnings errors
                warning = raised
        self._before, self._tasks = None, []
        if warning is not None:
            raise warning
        if left:
            error = LeftOverError(item.nodeid, left)
            if self._fails and self._passed:
                raise error
            self._left_over = error.message

    def _note_tasks(self) -> None:
        """Note the tasks that still run: a loop that ends with its test ends them, too, and nobody could tell later."""
        from envmatrix.plugin.process_resources import pending, settle

        if self._before is not None and set(pending(self._loops)) - self._before.tasks:
            settle(self._loops)
            self._tasks = [task for task in pending(self._loops) if task not in self._before.tasks]

    def pytest_fixture_post_finalizer(self) -> None:
        """Drop the tasks that a fixture's teardown has ended, while their loop is open."""
        with self._guard:
            self._tasks = [
                task for task in self._tasks if task.get_loop().is_closed() or not (task.done() or task.cancelling())
            ]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, Any]:
        """Note whether the test has passed; show what was left in one line, or put it on the report."""
        report = yield
        if call.when == "call":
            self._passed = report.passed
        if call.excinfo is not None and isinstance(call.excinfo.value, LeftOverError):
            report.longrepr = str(call.excinfo.value)  # raised here, it has no traceback that anybody needs
        if self._left_over and call.when == "teardown":
            add_note(report, left_over=self._left_over)
        return report

    def _unexpected(self, item: pytest.Item) -> Iterator[Left]:
        """Yield what was left, without the kinds that the test's markers name."""
        expected = [str(word) for marker in item.iter_markers("leaves") for word in marker.args]
        for left in (*item.stash.get(LEFT, ()), *self._in_this_process(item)):
            if not (left.kind and any(word.startswith(left.kind) for word in expected)):
                yield left

    def _in_this_process(self, item: pytest.Item) -> list[Left]:
        if self._before is None:
            return []
        from envmatrix.plugin.process_resources import Resources, describe, descriptors_in, settle

        left = self._tasks
        new = Resources.now(self._loops).without(self._before)
        barred = [self, *(each for each in _lists_of(item) if len(each) > self._lists.get(id(each), 0))]
        if new.sockets:  # mostly of a shared client that has opened a connection: no need to search the heap
            shared = [*(each.cached_result for each in self._broad), vars(self._process)]
            known = descriptors_in(shared, [*barred, self._config])
            new = replace(new, sockets=frozenset(each for each in new.sockets if each[0] not in known))
        if not left and not new:
            return []
        settle(self._loops)
        new = Resources.now(self._loops).without(self._before)
        new = replace(new, tasks=frozenset(left))
        owners = [self._config, *sys.modules.values()]
        return describe(new, self._before.threads, owners, barred) if new else []


def _unfinished(item: pytest.Item) -> list[Left]:
    """Return what an item had begun in the services and not finished."""
    return [left for left in item.stash.get(LEFT, ()) if left.is_unfinished]


def _lists_of(item: pytest.Item) -> Iterator[Any]:
    """Yield the lists of a test's own module: what a test puts there is the test's own."""
    module = getattr(item, "module", None)
    for value in vars(module).values() if module is not None else ():
        if type(value) in {list, set, deque}:
            yield value
