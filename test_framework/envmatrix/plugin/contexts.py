"""Records which functions each test runs: `--matrix-contexts`.

What a fixture of a wider scope runs counts for every test that asks for it, whoever was first. A test that starts a process
has no contexts: what that runs is not seen.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec
import pytest

from envmatrix.analysis.source.parts.file_parts import FileVersion
from envmatrix.analysis.source.parts.parsing import parse_to_compare
from envmatrix.git import tracked_files
from envmatrix.plugin.process import Process
from envmatrix.runs.contexts import Contexts, RanFunction, merged, numbered
from envmatrix.runs.nodeid import function_of

_KEY = "envmatrix_contexts"
"""The key of the contexts in xdist's `workeroutput`."""
_ASK = pytest.FixtureRequest.getfixturevalue.__code__
_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system"})
"""Audit events of a new process."""
_STARTS_UNSEEN = "spawnv_passfds"
"""The function of multiprocessing that starts one without such an event."""
_NOT_PYTHON = frozenset({"git", "uname"})
"""Programs that run nothing of the project; pytest and the standard library start them, too."""
_OUR_CODE = ("envmatrix.plugin.process", "envmatrix.plugin.session")
"""Modules that start the environment's services: what needs these is known without contexts."""


@dataclass(slots=True)
class _Context:
    """What one test, one fixture of a wider scope, or the import of one file has run."""

    codes: dict[int, CodeType] = field(default_factory=dict)
    """By identity: to compare code objects costs more than to keep them."""
    fixtures: set[str] = field(default_factory=set)
    """Names of the fixtures that it asks for."""
    is_whole: bool = True


class ContextRecorder:
    """Counts each call of a function of the project for the test that it is made for."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))
        self._prefixes = (f"{root}{os.sep}", f"{self._root}{os.sep}")
        self._run_file: Path | None = None
        self._early: Sequence[str] = ()
        """Files that were imported before anything could be seen."""
        self._shared = _Context()
        self._tests: defaultdict[str, _Context] = defaultdict(_Context)
        self._fixtures: defaultdict[str, _Context] = defaultdict(_Context)
        self._files: defaultdict[str, _Context] = defaultdict(_Context)
        self._here: tuple[_Context, ...] = (self._shared,)
        """The contexts that calls belong to now."""
        self._importing: list[_Context] = []
        """Those of the files that are being imported, the innermost last."""
        self._cached: dict[int, tuple[CodeType, bool]] = {}
        """Code objects, kept so that none gets the identity of another, and whether a decorator keeps what they return."""
        self._foreign: dict[int, CodeType] = {}
        """Code objects of other files than the project's, kept as well."""
        self._outputs: list[Contexts] = []
        self._is_lost = False

    def start(self) -> None:
        """Follow the calls from now on, in this thread and in those that it starts."""
        files = [str(getattr(module, "__file__", "")) for module in list(sys.modules.values())]
        self._early = [file for file in files if file.startswith(self._prefixes)]
        sys.addaudithook(self._audit)
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def attach(self, process: Process) -> None:
        """Write beside the run file at the end; the controller of xdist's workers only gathers what these send."""
        self._run_file = process.selection.run_file
        if process.config.getoption("dist", "no") != "no":
            self.stop()

    def stop(self) -> None:
        """Follow no more calls."""
        self._here = ()
        sys.setprofile(None)
        threading.setprofile(None)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._here or event not in _STARTS or (arguments and Path(str(arguments[0])).name in _NOT_PYTHON):
            return
        if not _is_ours(sys._getframe()):  # noqa: SLF001  the one way to a frame
            self._start_process()

    def _start_process(self) -> None:
        for context in self._here:
            context.is_whole = False

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code  # costs an audit event, of which there are more than of calls
            if id(code) not in self._foreign:
                self._call(frame, code)
        elif event == "return" and self._importing:
            code = frame.f_code
            if code.co_name == "<module>" and code.co_filename.startswith(self._prefixes):
                self._importing.pop()

    def _call(self, frame: FrameType, code: CodeType) -> None:
        here = self._here
        if self._importing:
            here = (*(each for each in here if each is not self._shared), self._importing[-1])
        if code is _ASK:
            for context in here:
                context.fixtures.add(frame.f_locals["argname"])
        elif code.co_name == _STARTS_UNSEEN:
            self._start_process()
        elif not code.co_filename.startswith(self._prefixes):
            self._foreign[id(code)] = code
        elif code.co_name == "<module>":
            self._importing.append(self._files[code.co_filename])
        elif here and id(code) not in here[-1].codes:
            for context in (*here, self._shared) if self._is_below_cache(frame) else here:
                context.codes[id(code)] = code

    def _is_below_cache(self, frame: FrameType | None) -> bool:
        """Return whether a call will not be repeated for another test."""
        while frame is not None:
            code = frame.f_code
            if id(code) not in self._cached:
                self._cached[id(code)] = code, _is_cached(code)
            if self._cached[id(code)][1]:
                return True
            frame = frame.f_back
        return False

    @contextmanager
    def _inside(self, *contexts: _Context) -> Iterator[None]:
        before, self._here = self._here, contexts
        try:
            yield
        finally:
            if sys.getprofile() != self._profile:  # a profiler took our place
                for context in contexts:
                    context.is_whole = False
                self._importing.clear()
                sys.setprofile(self._profile)
            self._here = before

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Count what is run from here on for a test."""
        context = self._tests[function_of(item.nodeid)]
        context.fixtures.update(getattr(item, "fixturenames", ()))
        with self._inside(context):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Count what a fixture of a wider scope runs for the fixture, too."""
        for context in self._here:
            context.fixtures.update(fixturedef.argnames)
        if fixturedef.scope == "function":
            return (yield)
        context = self._fixtures[fixturedef.argname]
        context.fixtures.update(fixturedef.argnames)
        with self._inside(*self._here, context):
            return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what a worker of xdist recorded; of one that crashed nothing is known."""
        output = (getattr(node, "workeroutput", None) or {}).get(_KEY)
        if output is None:
            self._is_lost = True
        else:
            self._outputs.append(msgspec.json.decode(output, type=Contexts))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the contexts to the controller, or write them."""
        self.stop()
        if hasattr(session.config, "workerinput"):
            session.config.workeroutput[_KEY] = msgspec.json.encode(self._contexts())  # type: ignore[attr-defined]  # xdist's
        elif self._run_file is not None and not self._is_lost:
            merged(self._outputs or [self._contexts()]).write(self._run_file)

    def _contexts(self) -> Contexts:
        functions = _Functions(self._root)
        tests, unknown = {}, set()
        for test, context in self._tests.items():
            around = list(self._around(context))
            tests[test] = {ran for each in around for ran in functions.of(each.codes.values())}
            if not all(each.is_whole for each in (self._shared, *around)):
                unknown.add(test)
        shared = [*functions.of(self._shared.codes.values()), *functions.of_files(self._early)]
        files = {}
        for file, context in self._files.items():
            ran = list(functions.of(context.codes.values()))
            if (path := functions.path(file)) is not None:
                files[path] = ran
            else:  # an import that reading does not see
                shared += ran
        return numbered(tests, files, shared, unknown)

    def _around(self, context: _Context) -> Iterator[_Context]:
        """Yield a test's context, and those of the fixtures that it reaches."""
        yield context
        waiting, reached = list(context.fixtures), set[str]()
        while waiting:
            if (name := waiting.pop()) not in reached and name in self._fixtures:
                reached.add(name)
                yield self._fixtures[name]
                waiting += self._fixtures[name].fixtures


class _Functions:
    """Finds the function of a project that a code object is, or is inside of."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._python = frozenset(tracked_files(root, "*.py"))
        self._files: dict[str, tuple[str, FileVersion]] = {}
        self._known: dict[int, RanFunction | None] = {}

    def of(self, codes: Iterable[CodeType]) -> Iterator[RanFunction]:
        """Yield the functions of code objects, none for other code."""
        for code in codes:
            if id(code) not in self._known:
                self._known[id(code)] = self._find(code)
            if (found := self._known[id(code)]) is not None:
                yield found

    def of_files(self, files: Iterable[str]) -> Iterator[RanFunction]:
        """Yield all functions of some files."""
        for file in files:
            path, version = self._read(file)
            yield from (
                RanFunction(path, name, part.digest)
                for part in version.parts.values()
                if part.kind == "function"
                for name in dict.fromkeys((part.name, *(piece.name for piece in part.pieces)))
            )

    def path(self, file: str) -> str | None:
        """Return the path of a file from the root; None for a file that is not of the project."""
        path = self._read(file)[0]
        return path if path in self._python else None

    def _find(self, code: CodeType) -> RanFunction | None:
        path, version = self._read(code.co_filename)
        part = version.at(code.co_firstlineno)
        if part.kind != "function":
            return None
        return RanFunction(path, part.piece_at(code.co_firstlineno), part.digest)

    def _read(self, file: str) -> tuple[str, FileVersion]:
        if file not in self._files:
            path = os.path.relpath(os.path.realpath(file), self._root)
            source = (self._root / path).read_bytes() if path in self._python else b""
            self._files[file] = path, parse_to_compare(source)
        return self._files[file]


def _is_cached(code: CodeType) -> bool:
    """Return whether a decorator keeps what a function returns."""
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    return any("cache" in line for line in takewhile(lambda line: line.lstrip().startswith("@"), lines))


def _is_ours(frame: FrameType | None) -> bool:
    """Return whether we start a process ourselves: a service, git."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_OUR_CODE):
            return True
        frame = frame.f_back
    return False
