"""Sockets, asyncio tasks, threads and children of this process: which are left over, and whether the test itself holds them.

Most of what is new after a test is not left over: a client of a broader fixture has opened its first connection, a pool has
grown, a library keeps a thread of its own. So nothing is blamed that somebody holds who lives longer than the test: what
can be reached from a module, from pytest (fixtures' values among it) or from a thread that was there before.
"""

from __future__ import annotations

import gc
import inspect
import socket
import stat
import sys
import threading
import warnings
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from envmatrix.masking import one_line
from envmatrix.plugin.child_processes import child_processes, command_of, holders_of, registers, runs
from envmatrix.safety.unpatched import REAL
from envmatrix.services.kinds.left import Left

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

    _AnyTask = Task[Any]

_GRACE = 0.1
"""Seconds for what is about to end: a thread that was told to, a transport that closes in the loop's next turn."""

_NAME = 120
"""Characters: a test chooses its threads' and tasks' names."""

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Resources:
    """The resources of this process at one moment; taking them costs microseconds."""

    sockets: frozenset[tuple[int, int]]
    """Descriptor and inode."""
    threads: frozenset[threading.Thread]
    tasks: frozenset[_AnyTask]
    processes: frozenset[int]
    """The ids of its children."""

    @classmethod
    def now(cls, loops: Iterable[AbstractEventLoop]) -> Resources:
        """Return those of now; tasks are seen in these loops, as far as they are open."""
        return cls(
            frozenset(_sockets()),
            frozenset(threading.enumerate()),
            frozenset(pending(loops)),
            frozenset(child_processes()),
        )

    def without(self, other: Resources) -> Resources:
        """Return the resources that are in this one only."""
        return Resources(
            self.sockets - other.sockets,
            self.threads - other.threads,
            self.tasks - other.tasks,
            self.processes - other.processes,
        )

    def plus(self, other: Resources) -> Resources:
        """Return the resources of both."""
        return Resources(
            self.sockets | other.sockets,
            self.threads | other.threads,
            self.tasks | other.tasks,
            self.processes | other.processes,
        )

    def __bool__(self) -> bool:
        return bool(self.sockets or self.threads or self.tasks or self.processes)


def _sockets() -> Iterator[tuple[int, int]]:
    for name in REAL.listdir("/dev/fd"):
        with suppress(OSError):  # the descriptor of this listing itself
            seen = REAL.fstat(int(name))
            if stat.S_ISSOCK(seen.st_mode):
                yield int(name), seen.st_ino


def pending(loops: Iterable[AbstractEventLoop]) -> Iterator[_AnyTask]:
    """Yield the tasks of loops that nobody has asked to end."""
    for loop in loops:
        if not loop.is_closed() and not loop.is_running():
            from asyncio import all_tasks

            yield from (task for task in all_tasks(loop) if not task.cancelling())


def settle(loops: Iterable[AbstractEventLoop]) -> None:
    """Let loops take some turns, and collect garbage: what ends by that was not left."""
    for loop in loops:
        if not loop.is_closed() and not loop.is_running():
            from asyncio import sleep

            loop.run_until_complete(sleep(_GRACE / 2))
    with warnings.catch_warnings(record=True) as unclosed:
        warnings.simplefilter("always")
        gc.collect()
    # Raised inside the collection, a warning that is an error would reach the next test instead of this one.
    for each in unclosed:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)


def describe(
    new: Resources, older: Collection[threading.Thread], owners: Iterable[object], barred: Collection[object]
) -> list[Left]:
    """Return each new resource that is held by nothing that outlives the test.

    `owners` live longer; a search from them passes through nothing in `barred`.
    """
    holders = _holders({fd for fd, _ in new.sockets if _can_be_named(fd)})
    threads = [thread for thread in new.threads if _is_the_tests_own(thread)]
    tasks = [task for task in new.tasks if not _is_library(task.get_coro())]
    processes = holders_of([process for process in new.processes if runs(process)])
    if not (any(holders.values()) or threads or tasks or processes):
        return []
    roots = [*owners, *_locals_of(older)]
    held = [each for known in (holders, processes) for objects in known.values() for each in objects]
    barred = [*barred, *registers()]
    kept = _reached([*threads, *map(_self_of, threads), *tasks, *held], roots, barred)
    threads = [thread for thread in threads if not kept & {id(thread), id(_self_of(thread))}]
    # What serves a connection for somebody who stays is his: its sockets are only in its own frames.
    others = _locals_of(new.threads - set(threads))
    kept |= _reached([each for held in holders.values() for each in held], others, barred)
    return [
        *(
            _about_socket(fd)
            for fd, held in sorted(holders.items())
            if held and not any(id(one) in kept for one in held)
        ),
        *(_about("task", task.get_name(), task.get_coro()) for task in tasks if id(task) not in kept),
        *(_about("thread", thread.name, _runs(thread)) for thread in _still_alive(threads)),
        *(
            Left("process", place=one_line(f": {command_of(process)}")[:_NAME])
            for process, objects in sorted(processes.items())
            if not any(id(one) in kept for one in objects) and runs(process)
        ),
    ]


def _still_alive(threads: Iterable[threading.Thread]) -> Iterator[threading.Thread]:
    """Yield those that do not end within the grace."""
    until = REAL.clock() + _GRACE
    for thread in threads:
        thread.join(max(until - REAL.clock(), 0))
        if thread.is_alive():
            yield thread


# Threads and tasks


def _is_the_tests_own(thread: threading.Thread) -> bool:
    """Return whether a test can have started a thread: not a library's machinery, nor an executor's that still is there."""
    runs = _runs(thread)
    if runs is None or _is_library(runs) or _is_library(type(thread)):
        return False
    if getattr(runs, "__module__", "") != "concurrent.futures.thread":
        return True
    executor: object = next(iter(getattr(thread, "_args", None) or ()), None)
    return not (isinstance(executor, weakref.ref) and executor() is not None)


def _runs(thread: threading.Thread) -> Any:
    """Return what a thread runs; `None` where that cannot be told, as of one that C has started."""
    run = type(thread).run
    if run is threading.Thread.run:
        return getattr(thread, "_target", None)
    return getattr(thread, "function", None) if run is threading.Timer.run else run


def _self_of(thread: threading.Thread) -> object:
    """Return the object whose method a thread runs: a server, say."""
    runs = _runs(thread)
    return runs.__self__ if inspect.ismethod(runs) else None  # a built-in function's is its module


def _code_of(runs: Any) -> CodeType | None:
    while isinstance(runs, partial):
        runs = runs.func
    runs = inspect.unwrap(runs)
    for name in ("__code__", "cr_code", "gi_code"):
        if isinstance(code := getattr(runs, name, None), CodeType):
            return code
    return getattr(type(runs).__call__, "__code__", None) if callable(runs) else None


def _is_library(runs: Any) -> bool:
    """Return whether what runs belongs to an installed package, or to ours; Python's own is what tests call, too."""
    code, module = _code_of(runs), sys.modules.get(getattr(runs, "__module__", None) or "")
    for file in (code.co_filename if code else None, getattr(module, "__file__", None)):
        path = Path(file or "")
        ours = path.is_relative_to(_PACKAGE) and not path.is_relative_to(_PACKAGE / "tests")
        if ours or {"site-packages", "dist-packages"}.intersection(path.parts):
            return True
    return False


def _about(thing: str, name: str, runs: Any) -> Left:
    code = _code_of(runs)
    place = f" ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else ""
    called = getattr(runs, "__qualname__", "") or type(runs).__name__
    return Left(thing, place=one_line(f": {name} running {called}{place}")[:_NAME])


# Sockets


def _holders(descriptors: Collection[int]) -> Mapping[int, list[object]]:
    """Return the objects that say that a descriptor is theirs; one of a C library may have none, and is nobody's fault."""
    found: dict[int, list[object]] = {descriptor: [] for descriptor in descriptors}
    if not found:
        return found
    for each in gc.get_objects():
        if _has_socket(each):
            with suppress(Exception):
                found[each.fileno()].append(each)
    return found


def _has_socket(each: Any) -> bool:
    kind = type(each)  # not isinstance, here and below: a proxy's __class__ may be what it has not got yet
    return issubclass(kind, socket.socket) or (kind.__module__ in _WITH_SOCKETS and hasattr(kind, "fileno"))


_WITH_SOCKETS = frozenset({"psycopg", "psycopg2.extensions"})
"""Modules whose connections have a socket inside a C library, and say which."""


def _can_be_named(descriptor: int) -> bool:
    """Return whether a socket has an address: the pair by which a loop wakes itself has none."""
    with suppress(OSError), closing(REAL.socket(fileno=REAL.dup(descriptor))) as copy:
        return copy.family != socket.AF_UNIX or bool(copy.getsockname() or _peer(copy))
    return False


def _about_socket(descriptor: int) -> Left:
    try:
        with closing(REAL.socket(fileno=REAL.dup(descriptor))) as copy:
            here, there = copy.getsockname(), _peer(copy)
    except OSError:  # closed this moment
        return Left("socket")
    return Left("socket", place=one_line(f": {f'to {_shown(there)}' if there else f'at {_shown(here)}'}")[:_NAME])


def _peer(one: socket.SocketType) -> Any:
    try:
        return one.getpeername()
    except OSError:
        return None


def _shown(address: Any) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)


# Who holds what


def descriptors_in(owners: Iterable[object], barred: Collection[object]) -> set[int]:
    """Return the descriptors of the sockets that owners hold as data: in a client's pool, say.

    Code is not followed: it leads to every module, and from there through the whole heap.
    """
    found = set[int]()
    for each in filter(_has_socket, _held(owners, barred, without=_CODE)):
        with suppress(Exception):
            found.add(each.fileno())
    return found


_CODE = (type, ModuleType, FunctionType, CodeType, FrameType)


def _locals_of(threads: Collection[threading.Thread]) -> list[object]:
    """Return what threads hold in their frames."""
    frames, found = sys._current_frames(), list[object]()  # noqa: SLF001  documented, in spite of its name
    for thread in threads:
        frame = frames.get(thread.ident or 0) if thread is not threading.current_thread() else None
        while frame is not None:
            found += frame.f_locals.values()
            frame = frame.f_back
    return found


def _reached(suspects: Iterable[object], roots: Iterable[object], barred: Collection[object]) -> set[int]:
    """Return the ids of the suspects that can be reached from some roots.

    What the module `threading` knows leads nowhere: it is every thread.
    """
    wanted = {id(each) for each in suspects if each is not None}
    found: set[int] = set()
    for each in _held(roots, [threading, vars(threading), *barred]) if wanted else ():
        if id(each) in wanted:
            found.add(id(each))
            if found == wanted:
                break
    return found


def _held(roots: Iterable[object], barred: Iterable[object], without: tuple[type, ...] = ()) -> Iterator[Any]:
    """Yield each object that can be reached from some roots, passing through nothing barred, nor through some types."""
    seen = set(map(id, barred))
    level: list[Any] = [list(roots)]
    while level:
        following = []
        for each in gc.get_referents(*level):
            if id(each) not in seen and not issubclass(type(each), without):
                seen.add(id(each))
                yield each
                if _leads_on(each):
                    following.append(each)
        level = following


def _leads_on(each: Any) -> bool:
    """Return whether what an object refers to is followed: a loop that does not run holds whatever was left open in it."""
    asyncio = sys.modules.get("asyncio")  # who has no loop need not import it
    is_loop = asyncio is not None and issubclass(type(each), asyncio.AbstractEventLoop)
    return gc.is_tracked(each) and not (is_loop and not each.is_running())
