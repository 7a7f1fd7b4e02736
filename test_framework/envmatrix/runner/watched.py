"""The files of a project, and when they change."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Generator, Iterable
from pathlib import Path

from envmatrix.analysis.impact import FileChange
from envmatrix.exceptions import MissingExtraError, UsageError
from envmatrix.git import tracked_files

_QUIET, _MOST, _WAKE = 150, 2_000, 100
"""Milliseconds without a change after which changes are reported, after which they are in any case, and between wake-ups."""

_OURS = (".envmatrix", ".nox")


def wakes(root: Path) -> Generator[set[str]]:
    """Yield nothing as soon as changes are noted, then the paths below a directory that changed, whenever some did.

    Changes are noted also while nobody waits for them. Ctrl-C is a KeyboardInterrupt.

    Raises:
        MissingExtraError: watchfiles is not installed.
        UsageError: the system watches no more directories.
    """
    try:
        from watchfiles import DefaultFilter, watch
    except ImportError:
        raise MissingExtraError("watchfiles", "rerun") from None
    watched = watch(
        root,
        watch_filter=DefaultFilter(ignore_dirs=(*DefaultFilter.ignore_dirs, *_OURS)),
        debounce=_MOST,
        step=_QUIET,
        rust_timeout=_WAKE,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    try:
        next(watched)
        yield set()
        for changes in watched:
            if changes:
                yield {Path(path).relative_to(root).as_posix() for _, path in changes}
    except OSError as error:
        how = "Raise fs.inotify.max_user_watches, or set WATCHFILES_FORCE_POLLING=1"
        raise UsageError(f"{root} cannot be watched: {error}", how) from None


class WatchedFiles:
    """The files of a project that git tracks or would, as they were when the tests were last run."""

    def __init__(self, root: Path) -> None:
        """Read them all.

        Raises:
            UsageError: git knows of none.
        """
        self._root = root
        self._files = {path: self._read(path) for path in tracked_files(root, "*")}
        if not self._files:
            how = "Begin one there: git init; what git ignores is not watched"
            raise UsageError(f"{root} is no git checkout with files in it", how)

    def changes(self, paths: Collection[str]) -> tuple[FileChange, ...]:
        """Return how files of these paths differ from what they were; what git ignores does not count."""
        if not paths:
            return ()
        watched = set(paths) & (self._files.keys() | set(tracked_files(self._root, "*")))
        states = ((path, self._files.get(path), self._read(path)) for path in sorted(watched))
        return tuple(FileChange(path, path, old, new) for path, old, new in states if old != new)

    def accept(self, changes: Iterable[FileChange]) -> None:
        """Take files as they are after these changes for what the tests are run with."""
        for change in changes:
            if change.new is None:
                del self._files[change.path]
            else:
                self._files[change.path] = change.new

    def _read(self, path: str) -> bytes | None:
        """Return the bytes of a source file, of another one a digest of them; `None` where there is none."""
        try:
            with (self._root / path).open("rb") as stream:
                if path.endswith((".py", ".toml")):
                    return stream.read()
                return hashlib.file_digest(stream, "blake2b").digest()
        except OSError:
            return None
