"""Where runs are kept: a directory a matrix, with a run file and a log for each environment, and a manifest.

The manifest says which environments were asked for, so that one that left no run file is still a column, and what the
runner knows about each end that the run file cannot tell.
"""

from __future__ import annotations

import json
import os
import shlex
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from envmatrix.exceptions import DeclarationError, RunFileError, RunNameError, UsageError
from envmatrix.masking import MASKER
from envmatrix.runs.archives import is_archive
from envmatrix.runs.cells import MissingRun, Run
from envmatrix.runs.file import read_run
from envmatrix.runs.garbage import paused
from envmatrix.runs.shards import Shard
from envmatrix.safety.input_files import open_regular, read_json
from envmatrix.safety.names import check_name, is_name
from envmatrix.safety.output_files import replacing

SCHEMA = 1
"""Of the manifest."""

_MANIFEST = "matrix.json"
_LATEST = "latest"
_SHARD = ".shard-"
_LOG_TAIL = 2_000
"""Bytes of a log that stand beside a missing run: the usage error or the traceback that explains it."""


@dataclass(frozen=True, slots=True)
class RunDir:
    """One matrix on disk."""

    path: Path

    @classmethod
    def create(cls, runs_dir: Path, environments: Mapping[str, str]) -> RunDir:
        """Make a directory for environments (name → label), and point `latest` at it.

        Raises:
            UsageError: it cannot be made there: the disk is full or read-only, or something else is in the way.
        """
        path = runs_dir / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        run_dir = cls(path)
        pointer = runs_dir / f".{path.name}"
        try:
            runs_dir.mkdir(0o755, parents=True, exist_ok=True)
            keep_out_of_git(runs_dir.parent)
            path.mkdir(0o755)
            run_dir.write_manifest(environments, {})
            pointer.symlink_to(path.name)
            pointer.replace(runs_dir / _LATEST)
        except OSError as error:
            how = "Name another directory: runs in [tool.envmatrix]"
            raise UsageError(f"runs cannot be kept in {runs_dir}: {error.strerror}", how) from None
        return run_dir

    @classmethod
    def at(cls, path: Path, environments: Mapping[str, str]) -> RunDir:
        """Make a directory of that name for environments (name → label).

        Raises:
            UsageError: it cannot be made, or holds something already.
        """
        try:
            path.mkdir(0o755, parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise UsageError(f"{path} is not empty", "Name a new directory")
            run_dir = cls(path)
            run_dir.write_manifest(environments, {})
        except OSError as error:
            raise UsageError(f"runs cannot be kept in {path}: {error.strerror}", "Name another directory") from None
        return run_dir

    def run_file(self, environment: str, shard: Shard | None = None) -> Path:
        """Return where an environment's run is recorded; shards have names of their own, so that they can be put together."""
        part = f"{_SHARD}{shard.number}-of-{shard.total}" if shard else ""
        return self.path / f"{check_name(environment)}{part}.jsonl"

    def log_file(self, environment: str) -> Path:
        """Return where pytest's own output goes."""
        return self.path / f"{check_name(environment)}.log"

    def write_manifest(self, environments: Mapping[str, str], notes: Mapping[str, str]) -> None:
        """Say which environments were asked for (name → label), and what is known about their ends."""
        entries = {name: {"label": label, "note": notes.get(name, "")} for name, label in environments.items()}
        text = json.dumps({"schema": SCHEMA, "environments": entries}, indent=2) + "\n"
        with replacing(self.path / _MANIFEST) as fresh:
            fresh.touch(0o644)
            fresh.write_text(text, encoding="utf-8")

    @paused()
    def load(self) -> Loaded:
        """Read every run; an environment of the manifest that left none, or a damaged one, is missing, with the reason.

        Raises:
            RunFileError: there is nothing here.
        """
        asked = read_manifest(self.path / _MANIFEST)
        runs: list[Run] = []
        damaged: dict[str, str] = {}
        for path in sorted(self.path.glob("*.jsonl")):
            try:
                runs.append(read_run(path, runs[-1] if runs else None))
            except RunNameError:
                raise
            except RunFileError as error:
                damaged[part_of(path.stem)[0]] = str(error)
        missing = [
            MissingRun(name, *self._about(name, asked, damaged), tail(self.log_file(name)))
            for name in sorted((asked.keys() | damaged.keys()) - {run.header.environment for run in runs})
        ]
        if not runs and not missing:
            raise RunFileError(self.path, "holds no run file")
        return Loaded(tuple(runs), tuple(missing), {name: note for name, (_, note) in asked.items() if note})

    @staticmethod
    def _about(name: str, asked: Mapping[str, tuple[str, str]], damaged: Mapping[str, str]) -> tuple[str, str]:
        """Return the label of an environment without a run, and the reason."""
        label, note = asked.get(name, (name, ""))
        return label, note or damaged.get(name) or "left no run file"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What run files hold, before they are put side by side."""

    runs: tuple[Run, ...]
    missing: tuple[MissingRun, ...] = ()
    notes: Mapping[str, str] | None = None


@paused()
def load_paths(paths: Iterable[Path]) -> Loaded:
    """Read run files and directories of them.

    Raises:
        UsageError: there is no such file, or it is an archive.
        RunFileError: a file is damaged.
    """
    runs: list[Run] = []
    missing: list[MissingRun] = []
    notes: dict[str, str] = {}
    for path in paths:
        if path.is_dir():
            loaded = RunDir(path).load()
            runs.extend(loaded.runs)
            missing.extend(loaded.missing)
            notes.update(loaded.notes or {})
        elif is_archive(path.name) and path.exists():
            raise UsageError(f"{path} is an archive", f"Merge it first: envmatrix merge {shlex.quote(str(path))}")
        elif path.exists():
            runs.append(read_run(path, runs[-1] if runs else None))
        else:
            raise UsageError(f"no run file {path}", "Name a .jsonl file or a directory of them")
    return Loaded(tuple(runs), tuple(missing), notes)


def read_manifest(path: Path) -> dict[str, tuple[str, str]]:
    """Return the label and the note of each environment that was asked for; nothing where there is no manifest.

    Raises:
        RunFileError: it is damaged.
    """
    if not path.exists():
        return {}  # run files that somebody put together by hand, or a CI job
    try:
        entries = read_json(path)["environments"]
        manifest = {name: (str(entry["label"]), str(entry["note"])) for name, entry in entries.items()}
    except DeclarationError as error:
        raise RunFileError(path, error.what) from None
    except (KeyError, TypeError, AttributeError):
        raise RunFileError(path, "is no manifest of a matrix") from None
    if wrong := next((name for name in manifest if not is_name(name)), None):
        raise RunFileError(path, f"{wrong[:200]!r} is no name of an environment")
    return manifest


def latest(runs_dir: Path) -> Path:
    """Return the directory of the last matrix.

    Raises:
        UsageError: there is none yet.
    """
    path = runs_dir / _LATEST
    if not path.is_dir():
        raise UsageError(f"no run in {runs_dir} yet", "Make one: envmatrix matrix")
    return path.resolve()


def part_of(stem: str) -> tuple[str, Shard | None]:
    """Return the environment and the shard that a run file's name, without `.jsonl`, tells."""
    environment, _, part = check_name(stem).rpartition(_SHARD) if _SHARD in stem else (stem, "", "")
    try:
        return environment, Shard.parse(part.replace("-of-", "/"))
    except UsageError:
        return check_name(stem), None


def run_files(runs_dir: Path, environment: str) -> Iterator[Path]:
    """Yield the run files of an environment, the last one first."""
    paths = sorted(runs_dir.glob(f"*/{check_name(environment)}.jsonl"), reverse=True)
    yield from (path for path in paths if path.parent.name != _LATEST)


def last_complete(runs_dir: Path, environment: str) -> Path | None:
    """Return the last run file of an environment that tells of the whole suite; `None` where there is none."""
    for path in run_files(runs_dir, environment):
        try:
            run = read_run(path)
            if run.complete and not run.header.narrowed:
                return path
        except RunFileError:
            continue
    return None


def keep_out_of_git(directory: Path) -> None:
    """Have git ignore a directory of ours, whatever the project's own .gitignore says."""
    with suppress(FileExistsError), (directory / ".gitignore").open("x") as ignore:
        ignore.write("*\n")


def tail(path: Path, size: int = _LOG_TAIL) -> str:
    """Return the end of a log, whole lines, masked; empty where there is none."""
    if path.is_symlink():  # a log of ours is none; an artifact's would show any file
        return ""
    try:
        with open_regular(path) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
            cut = stream.tell() > 0
            text = stream.read(size).decode(errors="replace")
    except OSError:
        return ""
    return MASKER.mask(text.partition("\n")[2] if cut and "\n" in text else text).strip()
