"""Merge the shards of each environment into one run, and the runs of several environments into one directory.

Streams: memory holds the names of one suite and where its tests' lines are, never a run. The result is the same bytes
whatever the order of what is given, and whatever the cut. What does not belong together is refused before anything is
written; what is lost is in the result, with the reason.
"""

from __future__ import annotations

import filecmp
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from envmatrix.exceptions import RunFileError, RunNameError, SchemaError, UsageError
from envmatrix.runs.archives import GatheredFile, gather
from envmatrix.runs.directory import RunDir, part_of, read_manifest
from envmatrix.runs.events import Header
from envmatrix.runs.file import digest, read_header, read_suite
from envmatrix.runs.garbage import paused
from envmatrix.runs.merged import Order, Part, write_merged
from envmatrix.runs.shards import Shard
from envmatrix.safety.names import check_name

MakeDir = Callable[[Mapping[str, str]], RunDir]
"""Makes the directory for environments, name → label."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Differences between runs that a merge accepts."""

    commits: bool = False
    contracts: bool = False


@dataclass(frozen=True, slots=True)
class _Lost:
    """A run file that cannot be read."""

    shard: Shard | None
    reason: str


@paused()
def merge(
    paths: Sequence[Path], make_dir: MakeDir, *, expect: Iterable[str] = (), allowed: Allowed = Allowed()
) -> RunDir:
    """Merge run files, directories of them, and archives of either; return the directory with the result.

    An environment that a manifest or `expect` names and that left no run is in the result's manifest, with the reason.

    Raises:
        UsageError: there is no such path.
        ArchiveError: an archive is damaged, hostile or too large.
        RunFileError: the runs do not belong together.
    """
    with gather(paths) as found:
        asked = _Asked.of([file for file in found if file.is_manifest], expect)
        environments, lost = _read([file for file in found if not file.is_manifest])
        if not (environments or lost or asked.labels):
            raise RunFileError(paths[0], "holds no run file")
        _refuse_mixed([part for parts in environments.values() for part in parts], allowed)
        labels = {name: name for name in lost} | asked.labels
        labels |= {name: parts[0].header.label for name, parts in environments.items()}
        run_dir = make_dir(dict(sorted(labels.items())))
        notes = {}
        for name in sorted(labels):
            parts, damaged = environments.get(name, []), lost.get(name, [])
            if parts:
                reasons = {each.shard.number: each.reason for each in damaged if each.shard}
                problems = write_merged(parts, run_dir.run_file(name), reasons)
            else:
                problems = sorted(each.reason for each in damaged)
            ends = asked.notes_of(name, {part.file.place for part in parts}, is_whole=bool(parts) and not problems)
            notes[name] = "; ".join(dict.fromkeys([*problems, *ends]))
        run_dir.write_manifest(dict(sorted(labels.items())), notes)
    return run_dir


@dataclass(frozen=True, slots=True)
class _Asked:
    """The environments that the manifests and the command line ask for."""

    labels: dict[str, str]
    notes: frozenset[tuple[str, str, str]]
    """The environment, the manifest's place, and its note on the end of the run there."""

    @classmethod
    def of(cls, manifests: Iterable[GatheredFile], expect: Iterable[str]) -> _Asked:
        labels = {check_name(name): {name} for name in expect}
        notes = set()
        for manifest in manifests:
            try:
                entries = read_manifest(manifest.path)
            except RunFileError as error:
                raise RunFileError(Path(manifest.name), error.what) from None
            for name, (label, note) in entries.items():
                labels.setdefault(name, set()).add(label)
                notes.add((name, manifest.place, note))
        # A plan knows only the name; who ran it knows what stood in for it.
        chosen = {name: max(known, key=lambda label: (label != name, label)) for name, known in labels.items()}
        return cls(chosen, frozenset(note for note in notes if note[2]))

    def notes_of(self, name: str, places: set[str], *, is_whole: bool) -> list[str]:
        """Return the notes on an environment's runs at these places; on all its runs where one is lost."""
        return sorted({note for of, place, note in self.notes if of == name and (place in places or not is_whole)})


_Plans = dict[tuple[str, tuple[str, ...]], "array[int]"]
"""A suite's digest and the tests planned of it → where in its order they are."""


def _read(files: Iterable[GatheredFile]) -> tuple[dict[str, list[Part]], dict[str, list[_Lost]]]:
    """Read every header; return what belongs together, and what cannot be read, by environment.

    Raises:
        RunFileError: two files say different things about the same, or are of another schema.
        UsageError: a file is something else altogether.
    """
    orders: dict[str, Order] = {}
    plans: _Plans = {}
    environments: dict[str, list[Part]] = {}
    lost: dict[str, list[_Lost]] = {}
    for file in sorted(files, key=lambda file: file.name):
        try:
            part = _part(file, orders, plans)
        except (SchemaError, RunNameError) as error:
            raise type(error)(Path(file.name), error.what, error.line) from None
        except RunFileError as error:
            if not file.name.endswith(".jsonl"):  # what is called so would be a run's, whatever became of it
                how = "Name run files, directories of them, .zip or .tar.gz"
                raise UsageError(f"{file.name} is neither a run file nor an archive of them", how) from None
            name, shard = part_of(file.stem)
            reason = str(RunFileError(Path(file.name), error.what, error.line))
            lost.setdefault(name, []).append(_Lost(shard, reason))
            continue
        parts = environments.setdefault(part.header.environment, [])
        if not any(_is_copy(part, known) for known in parts):
            parts.append(part)
    for parts in environments.values():
        _refuse_unfit(parts)
    return environments, lost


def _part(file: GatheredFile, orders: dict[str, Order], plans: _Plans) -> Part:
    """Read the beginning of a run file; what is the same in many is kept once.

    Raises:
        RunFileError: it is damaged, or of another schema.
    """
    header = read_header(file.path)
    suite = header.suite_digest if header.shard else header.planned_digest or digest(header.planned)
    if suite not in orders:  # the same in every shard, and mostly in every environment
        orders[suite] = Order(read_suite(file.path, header) if header.shard else header.planned)
    order = orders[suite]
    plan = suite, header.planned
    try:
        if plan not in plans:
            plans[plan] = array("i", map(order.position.__getitem__, header.planned))
        return Part(
            file=file,
            header=replace(header, planned=()),
            order=order,
            planned=plans[plan],
            shard=Shard.parse(header.shard) if header.shard else None,
        )
    except (KeyError, UsageError) as error:
        what = error.message if isinstance(error, UsageError) else f"its suite has no test {error}"
        raise RunFileError(file.path, f"is damaged: {what}", 1) from None


def _is_copy(part: Part, known: Part) -> bool:
    """Return whether two files are one and the same run.

    Raises:
        RunFileError: they are two runs of the same, or the copies differ.
    """
    if part.header.run_id == known.header.run_id:
        if filecmp.cmp(part.file.path, known.file.path, shallow=False):
            return True
        raise RunFileError(Path(part.file.name), f"is a copy of {known.file.name} that differs from it")
    if part.shard == known.shard:
        what = f"is another run of {part.header.environment!r}, {part.name}, than {known.file.name}. Merge one of them"
        raise RunFileError(Path(part.file.name), what)
    return False


def _refuse_unfit(parts: Sequence[Part]) -> None:
    """Refuse what are no parts of one whole: of other cuts, suites or targets."""
    first, *others = sorted(parts, key=lambda part: part.number)
    for part in others:
        if part.shard is None or first.shard is None or part.shard.total != first.shard.total:
            raise _unfit(part, first, f"is {part.name}", f"is {first.name}: they do not fit together")
        if (part.header.label, part.header.sources) != (first.header.label, first.header.sources):
            raise _unfit(part, first, f"ran against {_target(part.header)}", f"ran against {_target(first.header)}")
        if part.order is not first.order and part.order.position.keys() != first.order.position.keys():
            sizes = len(part.order.tests), len(first.order.tests)
            raise _unfit(part, first, f"is of a suite of {sizes[0]} tests", f"of another one, of {sizes[1]}")
    for part in others:
        if part.header.cut_digest != first.header.cut_digest and not _is_complete(parts):
            why = "were cut by other durations, and tests are in neither. Give every shard the same --durations"
            raise RunFileError(Path(part.file.name), f"and {first.file.name} {why}")


def _is_complete(parts: Sequence[Part]) -> bool:
    planned = {position for part in parts for position in part.planned_in(parts[0].order)}
    return len(planned) == len(parts[0].order.tests)


def _unfit(part: Part, first: Part, this: str, that: str) -> RunFileError:
    return RunFileError(Path(part.file.name), f"{this}, {first.file.name} {that}")


def _target(header: Header) -> str:
    return f"{header.label} ({', '.join(f'{name} {source}' for name, source in sorted(header.sources.items()))})"


def _refuse_mixed(parts: Iterable[Part], allowed: Allowed) -> None:
    ordered = sorted(parts, key=lambda part: (part.header.environment, part.number))
    for one, other in pairwise(ordered):
        if one.header.commit != other.header.commit and not allowed.commits:
            what = f"is of commit {other.header.commit[:12]}, {one.file.name} of {one.header.commit[:12]}"
            raise RunFileError(Path(other.file.name), f"{what}. Say --mixed-commits if that is what you want")
        held = [part.header.versions.get("contract", "none") for part in (one, other)]
        if held[0] != held[1] and not allowed.contracts:
            what = f"holds its fixtures to contract {held[1]}, {one.file.name} to {held[0]}"
            raise RunFileError(Path(other.file.name), f"{what}. Say --mixed-contracts if that is what you want")
