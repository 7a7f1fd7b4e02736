"""Shards of one environment made one run again, and runs of several one directory."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from envmatrix.exceptions import RunFileError, SchemaError, UsageError
from envmatrix.gate import exit_code, judge_all
from envmatrix.matrix.table import Matrix, matrix_of
from envmatrix.runs.directory import RunDir
from envmatrix.runs.events import SCHEMA, Attempt, Bodies, Evidence, FindingRecord, Footer, Header, Suite
from envmatrix.runs.file import RunWriter, digest
from envmatrix.runs.merge import Allowed, merge
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.shards import Shard, cut, cut_digest
from tests.framework.bare import Bare
from tests.framework.run_files import footer, header

SUITE = tuple(f"t.py::test_{number}" for number in range(8))


@dataclass(frozen=True)
class Fake:
    """A run that can be written whole or in shards."""

    attempts: Sequence[Attempt] = tuple(Attempt(test, Outcome.PASSED, 0.1) for test in SUITE)
    environment: str = "local"
    suite: Sequence[str] = SUITE
    end: Footer | None = field(default_factory=footer)
    findings: Sequence[FindingRecord] = ()
    commit: str = "c" * 40
    label: str = ""
    contract: str = "1.0.0"
    durations: tuple[float, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def whole(self, path: Path) -> Path:
        """Write it as one run."""
        return self._write(path, self._header(self.suite), self.attempts)

    def shard(self, directory: Path, number: int, total: int, *, run_id: str = "") -> Path:
        """Write one shard of it, under its own name."""
        numbers = cut(self.suite, dict(zip(self.suite, self.durations, strict=False)), total)
        planned = [test for test, of in zip(self.suite, numbers, strict=True) if of == number]
        shard = Shard(number, total)
        more = {
            "run_id": run_id or f"run-{self.environment}-{number}",
            "shard": str(shard),
            "suite_size": len(self.suite),
            "suite_digest": digest(self.suite),
            "cut_digest": cut_digest(self.suite, numbers),
        }
        # What nobody planned runs in the first.
        mine = {*planned, *(() if number > 1 else {attempt.test for attempt in self.attempts} - {*self.suite})}
        attempts = [attempt for attempt in self.attempts if attempt.test in mine]
        path = RunDir(directory).run_file(self.environment, shard)
        return self._write(path, structs.replace(self._header(planned), **more), attempts)

    def shards(self, directory: Path, total: int) -> list[Path]:
        """Write all of them, each in a directory of its own, as CI jobs leave them."""
        return [self.shard(directory / str(number), number, total) for number in range(1, total + 1)]

    def _header(self, planned: Sequence[str]) -> Header:
        made = header(self.environment, planned=planned, label=self.label, commit=self.commit)
        versions = {"contract": self.contract, "pytest": "9"}
        return structs.replace(made, versions=versions, planned_digest=digest(planned), files=dict(self.files))

    def _write(self, path: Path, first: Header, attempts: Sequence[Attempt]) -> Path:
        writer = RunWriter(path)
        writer.write(first)
        if first.shard:
            writer.write(Suite(tests=tuple(self.suite)))
        writer.write(Bodies(digests=tuple(str(len(test)) for test in first.planned)))
        for finding in self.findings:
            writer.write(finding)
        for attempt in attempts:
            writer.write(attempt)
        if self.end is not None:
            writer.write(self.end)
        writer.close()
        return path


@dataclass(frozen=True)
class Merged:
    """What came out."""

    run_dir: RunDir

    @property
    def matrix(self) -> Matrix:
        """It, as any other is read."""
        return matrix_of(self.run_dir.load(), mixed_commits=True)

    @property
    def exit_code(self) -> int:
        """What the command line would end with."""
        return exit_code(judge_all(self.matrix))

    @property
    def notes(self) -> dict[str, str]:
        """What is said of each environment."""
        manifest = json.loads((self.run_dir.path / "matrix.json").read_text())
        return {name: entry["note"] for name, entry in manifest["environments"].items()}

    @property
    def bytes(self) -> dict[str, bytes]:
        """All that was written."""
        return {path.name: path.read_bytes() for path in sorted(self.run_dir.path.iterdir())}


Merge = Callable[..., Merged]


@pytest.fixture
def merged(tmp_path: Path) -> Merge:
    """Merge into a new directory."""

    def merged(*paths: Path, expect: Sequence[str] = (), **allowed: bool) -> Merged:
        target = tmp_path / f"merged-{len(list(tmp_path.glob('merged-*')))}"
        run_dir = merge(paths, lambda labels: RunDir.at(target, labels), expect=expect, allowed=Allowed(**allowed))
        return Merged(run_dir)

    return merged


def refusal(merged: Merge, *paths: Path, **more: object) -> str:
    """Why it is refused, in one line; nothing is written then."""
    with pytest.raises(RunFileError) as caught:
        merged(*paths, **more)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_shards_make_a_run_like_any_other(tmp_path: Path, merged: Merge) -> None:
    """Every test of the suite in its order, judged as if it had never been cut; the shards are gone from the header."""
    Fake().shards(tmp_path / "in", 3)
    Fake(environment="staging", label="staging (twin)").shards(tmp_path / "in", 3)
    result = merged(tmp_path / "in")
    assert result.exit_code == 0
    assert list(result.bytes) == ["local.jsonl", "matrix.json", "staging.jsonl"]
    assert [column.label for column in result.matrix.columns] == ["local", "staging (twin)"]
    for run in result.matrix.runs:
        assert run.complete
        assert tuple(run.cells) == run.header.planned == SUITE
        assert (run.header.shard, run.header.suite_size, run.header.suite_digest, run.header.cut_digest) == (
            "",
            0,
            "",
            "",
        )
        assert run.bodies == dict.fromkeys(SUITE, "12")
    assert set(result.notes.values()) == {""}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['a","outcome":"passed', "a\\", 'a"', 'a"}', '","outcome":"passed","duration":0.1}']
)
OUTCOMES = st.lists(st.sampled_from([Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED]), min_size=1, max_size=3)
EVIDENCE = Evidence("L401", 'says "","outcome":"passed"', detail="\\")


@st.composite
def fakes(draw: st.DrawFn) -> Fake:
    """A run with names and ends of all kinds, in any order of execution, with tests that nobody planned."""
    tests = draw(st.dictionaries(NAMES, OUTCOMES, min_size=1, max_size=12))
    suite = draw(st.lists(st.sampled_from(sorted(tests)), unique=True, min_size=1))
    attempts = [
        [
            Attempt(test, outcome, 0.25, "gw0", **({} if outcome is not Outcome.FAILED else _FAILED))
            for outcome in outcomes
        ]
        for test, outcomes in tests.items()
    ]
    ran = [attempt for tries in draw(st.permutations(attempts)) for attempt in tries]
    durations = tuple(draw(st.lists(st.floats(0, 9), max_size=len(suite))))
    findings = draw(st.sampled_from([(), (FindingRecord(rule="H304", message="m"),)]))
    return Fake(ran, suite=suite, durations=durations, findings=findings, end=footer(1))


_FAILED = {"cause": Cause.LOGIC, "evidence": EVIDENCE}


@settings(max_examples=40, deadline=None)
@given(fakes(), st.integers(2, 5), st.randoms())
def test_any_cut_in_any_order_gives_the_bytes_of_the_uncut_run(fake: Fake, total: int, chance: random.Random) -> None:
    """But for its id: each line is where it would have been, and nothing else is."""
    with TemporaryDirectory() as directory:
        root = Path(directory)
        whole = merge([fake.whole(root / "whole.jsonl")], lambda labels: RunDir.at(root / "a", labels))
        shards = fake.shards(root / "in", total)
        chance.shuffle(shards)
        parts = merge(shards, lambda labels: RunDir.at(root / "b", labels))
        again = merge([root / "in"], lambda labels: RunDir.at(root / "c", labels))
        assert Merged(parts).bytes == Merged(again).bytes
        lines, uncut = (_lines(run_dir) for run_dir in (parts, whole))
        assert lines[1:] == uncut[1:]
        assert {**lines[0], "run_id": ""} == {**uncut[0], "run_id": ""}
        assert Merged(parts).matrix.rows == Merged(whole).matrix.rows


def _lines(run_dir: RunDir) -> list[dict[str, object]]:
    return [json.loads(line) for line in run_dir.run_file("local").read_bytes().splitlines()]


def test_lines_in_another_spelling_are_read_too(tmp_path: Path, merged: Merge) -> None:
    """Another writer, or jq, puts keys in another order and white space between them."""
    path = Fake().shard(tmp_path / "in", 1, 2)
    path.write_text(
        "".join(json.dumps(json.loads(line), sort_keys=True) + "\n" for line in path.read_text().splitlines())
    )
    Fake().shard(tmp_path / "in", 2, 2)
    assert merged(tmp_path / "in").exit_code == 0


@pytest.mark.fault("missing-shard")
def test_a_missing_shard_is_unknown_and_its_tests_are_not_run(tmp_path: Path, merged: Merge) -> None:
    """Any one shard knows the whole suite, so nothing planned is missing from the matrix; exit 3."""
    paths = Fake().shards(tmp_path / "in", 4)
    lost = {test for test, number in zip(SUITE, cut(SUITE, {}, 4), strict=True) if number == 2}
    paths[1].unlink()
    result = merged(tmp_path / "in")
    assert result.exit_code == 3
    assert result.notes == {"local": "shard 2/4 left no run file"}
    (run,) = result.matrix.runs
    assert tuple(run.cells) == SUITE
    not_run = {test: cell.reason for test, cell in run.cells.items() if cell.outcome is Outcome.NOT_RUN}
    assert not_run == dict.fromkeys(lost, "shard 2/4 left no run file")


@pytest.mark.fault("missing-shard")
def test_of_several_missing_shards_each_is_named(tmp_path: Path, merged: Merge) -> None:
    """Which of them owes a test nobody knows, so all of them are said."""
    paths = Fake().shards(tmp_path / "in", 4)
    for path in paths[1:]:
        path.unlink()
    result = merged(tmp_path / "in")
    assert result.exit_code == 3
    assert result.notes["local"].split("; ") == [f"shard {number}/4 left no run file" for number in (2, 3, 4)]
    assert sum(cell.outcome is Outcome.NOT_RUN for cell in result.matrix.runs[0].cells.values()) == 6


@pytest.mark.fault("missing-shard")
def test_a_killed_shard_owes_what_it_has_not_said(tmp_path: Path, merged: Merge) -> None:
    """Without its footer, and with half a last line."""
    paths = Fake().shards(tmp_path / "in", 2)
    lines = paths[1].read_bytes().splitlines(keepends=True)
    paths[1].write_bytes(b"".join(lines[:3]) + lines[3][:20])
    result = merged(tmp_path / "in")
    assert result.exit_code == 3
    (run,) = result.matrix.runs
    assert run.footer is None
    reasons = {cell.reason for cell in run.cells.values() if cell.outcome is Outcome.NOT_RUN}
    assert reasons == {"shard 2/2 has no footer: its process was killed, or ended without one"}


@pytest.mark.fault("missing-shard")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty: the run ended before its tests were collected"),
        (b"\x00\n", ":1: is no run file: not JSON"),
    ],
)
def test_a_damaged_shard_is_missing_with_the_damage(tmp_path: Path, merged: Merge, data: bytes, why: str) -> None:
    """What it said before the damage counts no more than the rest; its name tells which it was."""
    paths = Fake().shards(tmp_path / "in", 2)
    paths[1].write_bytes(data)
    result = merged(tmp_path / "in")
    assert result.exit_code == 3
    assert result.notes["local"].startswith(f"shard 2/2: {paths[1]}")
    assert why in result.notes["local"]
    assert sum(cell.outcome is Outcome.NOT_RUN for cell in result.matrix.runs[0].cells.values()) == 4


@pytest.mark.fault("writer-reader")
def test_a_damaged_line_of_a_shard_costs_its_test_alone(tmp_path: Path, merged: Merge) -> None:
    """The rest of the shard counts, the merged run has the damage as a finding, and nothing of it is green."""
    paths = Fake().shards(tmp_path / "in", 2)
    lines = paths[1].read_bytes().splitlines(keepends=True)
    number = next(at for at, line in enumerate(lines) if b'"type":"attempt"' in line)
    paths[1].write_bytes(b"".join([*lines[:number], b"?\n", *lines[number + 1 :]]))
    result = merged(tmp_path / "in")
    assert result.exit_code == 3
    (run,) = result.matrix.runs
    assert sum(cell.outcome is Outcome.NOT_RUN for cell in run.cells.values()) == 1
    assert [finding.message for finding in run.findings] == [f"line {number + 1} of the run file is damaged: not JSON"]


@pytest.mark.parametrize("name", ["local.rar", "local.tar", "README"])
def test_what_is_no_run_file_and_no_archive_is_refused(tmp_path: Path, merged: Merge, name: str) -> None:
    """It is no lost shard of an environment called so; a run file is one under any name."""
    path = tmp_path / name
    path.write_bytes(b"Rar!\x1a\x07\x01\x00\n")
    with pytest.raises(UsageError) as caught:
        merged(path)
    what = f"{path} is neither a run file nor an archive of them"
    assert str(caught.value) == f"{what}. Name run files, directories of them, .zip or .tar.gz"
    Fake().whole(tmp_path / "local.jsonl").rename(path)
    assert merged(path).exit_code == 0


@pytest.mark.fault("missing-shard")
def test_an_environment_that_left_nothing_is_a_column(tmp_path: Path, merged: Merge) -> None:
    """Asked for by whoever merges, or by any manifest beside the runs; exit 3, not 2."""
    Fake().shards(tmp_path / "in", 2)
    entries = {"auth": {"label": "auth", "note": "untrusted: secrets are not given to forks"}}
    (tmp_path / "in/matrix.json").write_text(json.dumps({"schema": 1, "environments": entries}))
    result = merged(tmp_path / "in", expect=["backend", "local"])
    assert result.exit_code == 3
    assert [column.environment for column in result.matrix.columns] == ["auth", "backend", "local"]
    assert [verdict.reasons[0].text for verdict in judge_all(result.matrix)[:2]] == [
        "untrusted: secrets are not given to forks",
        "left no run file",
    ]


def test_with_nothing_at_all_there_is_nothing_to_merge(tmp_path: Path, merged: Merge) -> None:
    """Unless something is expected: then it is missing."""
    (tmp_path / "in").mkdir()
    assert refusal(merged, tmp_path / "in") == f"{tmp_path / 'in'}: holds no run file"
    assert merged(tmp_path / "in", expect=["local"]).exit_code == 3


@pytest.mark.parametrize("where", ["in/1", "elsewhere"])
def test_what_a_manifest_notes_stands_by_its_run(tmp_path: Path, merged: Merge, where: str) -> None:
    """Of a try that left nothing it is a remark only while something is missing: the job was run again."""
    Fake().shards(tmp_path / "in", 2)
    (tmp_path / where).mkdir(exist_ok=True)
    entries = {"local": {"label": "local", "note": "killed by SIGKILL"}}
    (tmp_path / where / "matrix.json").write_text(json.dumps({"schema": 1, "environments": entries}))
    result = merged(tmp_path)
    assert (result.notes["local"], result.exit_code) == (("killed by SIGKILL", 3) if where == "in/1" else ("", 0))


@pytest.mark.fault("duplicate-shard")
def test_the_same_shard_twice_counts_once(tmp_path: Path, merged: Merge) -> None:
    """An artifact that was downloaded twice changes not a byte."""
    paths = Fake().shards(tmp_path / "in", 2)
    once = merged(tmp_path / "in").bytes
    (tmp_path / "again").mkdir()
    shutil.copy(paths[1], tmp_path / "again/copy.jsonl")
    assert merged(tmp_path / "again", tmp_path / "in").bytes == once


@pytest.mark.fault("duplicate-shard")
def test_another_run_of_a_shard_is_refused(tmp_path: Path, merged: Merge) -> None:
    """Which of them counts is not ours to say; a copy that differs is no copy."""
    paths = Fake().shards(tmp_path / "in", 2)
    other = Fake().shard(tmp_path / "other", 2, 2, run_id="another")
    said = refusal(merged, tmp_path / "in", other)
    assert said == f"{other}: is another run of 'local', shard 2/2, than {paths[1]}. Merge one of them"
    other.write_bytes(paths[1].read_bytes()[:-20])
    assert refusal(merged, tmp_path / "in", other) == f"{other}: is a copy of {paths[1]} that differs from it"


@pytest.mark.fault("duplicate-shard")
def test_a_whole_run_and_a_shard_of_another_are_refused(tmp_path: Path, merged: Merge) -> None:
    """So are shards of other numbers: a test would count twice, or never."""
    whole, shard = Fake().whole(tmp_path / "whole.jsonl"), Fake().shard(tmp_path, 1, 2)
    assert refusal(merged, whole, shard).startswith(f"{whole}: is the whole run, {shard} is shard 1/2: they do not fit")
    third = Fake().shard(tmp_path, 3, 3)
    assert refusal(merged, shard, third).startswith(f"{third}: is shard 3/3, {shard} is shard 1/2: they do not fit")


@pytest.mark.fault("mixed-commits")
def test_mixed_commits_are_refused_unless_told(tmp_path: Path, merged: Merge) -> None:
    """Within an environment as between them; what is merged anyway is of no one commit, and dirty is not needed to see it."""
    first = Fake().shard(tmp_path / "in", 1, 2)
    second = Fake(commit="d" * 40).shard(tmp_path / "in", 2, 2)
    said = refusal(merged, tmp_path / "in")
    assert said == (
        f"{second}: is of commit dddddddddddd, {first} of cccccccccccc. Say --mixed-commits if that is what you want"
    )
    result = merged(tmp_path / "in", commits=True)
    assert result.matrix.commits == (f"{'c' * 40}+{'d' * 40}",)
    Fake(environment="staging", commit="e" * 40).whole(tmp_path / "in/staging.jsonl")
    second.unlink()
    assert "staging.jsonl: is of commit eeeeeeeeeeee" in refusal(merged, tmp_path / "in")


@pytest.mark.fault("checkout-under-run")
def test_shards_of_other_files_make_a_mixed_run(tmp_path: Path, merged: Merge) -> None:
    """At one commit, a file differed between two shards: the whole is of no version of it."""
    Fake(files={"a.py": "1", "conftest.py": "1"}).shard(tmp_path / "in", 1, 2)
    Fake(files={"b.py": "1", "conftest.py": "2"}).shard(tmp_path / "in", 2, 2)
    result = merged(tmp_path / "in")
    (run,) = result.matrix.runs
    assert run.mixed == ("conftest.py changed",)
    assert list(run.header.files) == ["a.py", "b.py", "conftest.py"]
    assert result.exit_code == 3


def test_mixed_contracts_are_refused_unless_told(tmp_path: Path, merged: Merge) -> None:
    """Two versions of the fixtures' contract are two different promises."""
    Fake().shard(tmp_path / "in", 1, 2)
    Fake(contract="2.0.0").shard(tmp_path / "in", 2, 2)
    said = refusal(merged, tmp_path / "in")
    assert "holds its fixtures to contract 2.0.0" in said
    assert "to 1.0.0. Say --mixed-contracts if that is what you want" in said
    (run,) = merged(tmp_path / "in", contracts=True).matrix.runs
    assert run.header.versions == {"contract": "1.0.0, 2.0.0", "pytest": "9"}


@pytest.mark.fault("mixed-schema")
def test_another_schema_is_refused_with_the_version_it_needs(tmp_path: Path, merged: Merge) -> None:
    """What cannot be read cannot be merged, whatever one says."""
    Fake().shards(tmp_path / "in", 2)
    path = tmp_path / "in/newer.jsonl"
    path.write_text(json.dumps({"type": "header", "schema": SCHEMA + 1}) + "\n")
    with pytest.raises(SchemaError) as caught:
        merged(tmp_path / "in")
    assert str(caught.value) == (
        f"{path}: is of schema {SCHEMA + 1}; this envmatrix reads schema {SCHEMA}. "
        "Read it with the version that wrote it"
    )


def test_shards_of_other_targets_are_refused(tmp_path: Path, merged: Merge) -> None:
    """Half against staging and half against its twin is a run of neither."""
    Fake(label="staging").shard(tmp_path / "in", 1, 2)
    Fake(label="staging (twin)").shard(tmp_path / "in", 2, 2)
    assert "ran against staging (twin) (backend process, redis absent)" in refusal(merged, tmp_path / "in")


def test_shards_of_other_suites_are_refused(tmp_path: Path, merged: Merge) -> None:
    """One collected a test more than the other: they are not parts of the same."""
    Fake().shard(tmp_path / "in", 1, 2)
    Fake(suite=SUITE[1:]).shard(tmp_path / "in", 2, 2)
    assert "is of a suite of 7 tests" in refusal(merged, tmp_path / "in")


@pytest.mark.parametrize(("number", "is_complete"), [(1, False), (2, True)])
def test_shards_cut_by_other_durations_are_refused_unless_complete(
    tmp_path: Path, merged: Merge, number: int, is_complete: bool
) -> None:
    """A test that is in none of them would be lost unseen; one that is in two counts by both."""
    longest_first = Fake(durations=(9.0, *[1.0] * 7))  # it alone is the first shard
    other = longest_first.shard(tmp_path / "in", number, 2)
    Fake().shard(tmp_path / "in", 3 - number, 2)
    if is_complete:
        assert merged(tmp_path / "in").exit_code == 0
    else:
        said = refusal(merged, tmp_path / "in")
        assert str(other) in said
        assert "were cut by other durations, and tests are in neither. Give every shard the same --durations" in said


def test_shards_of_a_part_of_a_suite_make_that_part(tmp_path: Path, merged: Merge) -> None:
    """Whichever shard says so, the whole of them is no whole suite."""
    paths = Fake().shards(tmp_path / "in", 2)
    first, rest = paths[1].read_text().split("\n", 1)
    paths[1].write_text(json.dumps({**json.loads(first), "narrowed": ["-k test"]}) + "\n" + rest)
    result = merged(tmp_path / "in")
    assert result.matrix.runs[0].header.narrowed == ("-k test",)
    assert result.exit_code == 3


def test_shards_of_a_shuffled_suite_are_one(tmp_path: Path, merged: Merge) -> None:
    """A plugin that shuffles, with another seed on each machine, does not change what the suite is; the first orders it."""
    Fake().shard(tmp_path / "in/z", 1, 2)
    Fake(suite=SUITE[::-1]).shard(tmp_path / "in/a", 2, 2)
    result = merged(tmp_path / "in")
    assert result.exit_code == 0
    assert tuple(result.matrix.runs[0].cells) == SUITE


@pytest.mark.parametrize(
    ("codes", "code"), [((0, 0), 0), ((0, 1), 1), ((5, 0), 0), ((5, 5), 5), ((1, 2), 2), ((143, 2), 143)]
)
def test_the_whole_ended_as_badly_as_its_worst_part(
    tmp_path: Path, merged: Merge, codes: tuple[int, int], code: int
) -> None:
    """A shard without tests is no failure, as long as another has some."""
    for number, each in enumerate(codes, 1):
        Fake(end=footer(each, "stopped" if each > 5 else "")).shard(tmp_path / "in", number, 2)
    (run,) = merged(tmp_path / "in").matrix.runs
    assert run.footer is not None
    assert run.footer.exit_code == code
    assert run.footer.reason == ("shard 1/2: stopped" if code == 143 else "")


def test_archives_are_merged_like_directories(tmp_path: Path, merged: Merge) -> None:
    """As a CI system hands them out; the bytes are the same."""
    Fake().shards(tmp_path / "in", 2)
    shutil.make_archive(str(tmp_path / "first"), "zip", tmp_path / "in/1")
    shutil.make_archive(str(tmp_path / "second"), "gztar", tmp_path / "in/2")
    packed = merged(tmp_path / "second.tar.gz", tmp_path / "first.zip")
    assert packed.bytes == merged(tmp_path / "in").bytes
    assert packed.exit_code == 0


def test_what_is_refused_writes_nothing(tmp_path: Path, merged: Merge) -> None:
    """Neither a directory nor half a run; and a directory that holds something is not written to."""
    Fake().shard(tmp_path / "in", 1, 2)
    Fake(commit="d" * 40).shard(tmp_path / "in", 2, 2)
    refusal(merged, tmp_path / "in")
    assert list(tmp_path.glob("merged-*")) == []
    with pytest.raises(UsageError, match="is not empty"):
        merge([tmp_path / "in"], lambda labels: RunDir.at(tmp_path, labels), allowed=Allowed(commits=True))


@pytest.fixture
def shards(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite that was really run in two shards, by GitLab's variables, each job's artifacts in a directory."""
    bare.declare("local")
    bare.write("suite/test_a.py", "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_a(n): pass\n")
    monkeypatch.setenv("CI_NODE_TOTAL", "2")
    for number in (1, 2):
        monkeypatch.setenv("CI_NODE_INDEX", str(number))
        ended = bare.run("matrix", "local", "--quiet", "--", *(("-n2",) if number == 2 else ()))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert f"  shard {number}/2 alone, with " in ended.stdout
        shutil.copytree(bare.last, bare.root / f"artifacts/{number}")
    return bare.root / "artifacts"


@pytest.mark.fault("missing-shard")
def test_a_suite_run_in_shards_is_merged_by_the_command_line(bare: Bare, shards: Path) -> None:
    """Exit 0 as if it had not been cut, 3 where one shard's artifact was lost; a shard alone opens no gate."""
    ended = bare.run("merge", "artifacts")
    assert ended.returncode == 0, ended.stderr
    assert "local  compatible  5 ok\n" in ended.stdout
    assert bare.run("show").stdout == ended.stdout
    shutil.rmtree(shards / "2")
    ended = bare.run("merge", "artifacts", "--output", "whole", "--json")
    assert ended.returncode == 3
    assert len(json.loads(ended.stdout)["tests"]) == 5
    assert bare.run("show", "whole").returncode == 3
    alone = bare.run("gate", "artifacts/1")
    assert alone.returncode == 3
    assert "shard 1/2 alone" in alone.stdout


@pytest.mark.fault("name-as-path")
@pytest.mark.parametrize("name", ["../../victim/data", "/victim/data", "a/b", ".", "a\0b", "a\x1b[2J"])
def test_a_name_in_a_header_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    """The run file that names it is refused, and nothing is written but the merge's own directory."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/data.jsonl").write_text("precious")
    path = Fake(environment=name).whole(tmp_path / "evil.jsonl")
    with pytest.raises(RunFileError, match=r"evil\.jsonl:1: .* is no name of an environment"):
        merge([path], lambda labels: RunDir.at(tmp_path / "out/merged", labels))
    assert (tmp_path / "victim/data.jsonl").read_text() == "precious"
    assert not (tmp_path / "out").exists()
    with pytest.raises(RunFileError, match="is no name of an environment"):
        RunDir(tmp_path).load()


@pytest.mark.fault("name-as-path")
def test_names_from_elsewhere_are_names_too(tmp_path: Path) -> None:
    """An environment that is asked for, and a damaged run file's own name."""
    path = Fake().whole(tmp_path / "local.jsonl")
    damaged = tmp_path / "a b.jsonl"
    damaged.write_text("nothing")
    for paths, expect in (([path], ["../x"]), ([damaged], [])):
        with pytest.raises(UsageError, match="is no name of an environment"):
            merge(paths, lambda labels: RunDir.at(tmp_path / "merged", labels), expect=expect)
    assert not (tmp_path / "merged").exists()
