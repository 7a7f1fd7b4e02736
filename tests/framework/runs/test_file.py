"""Run files: what is written can be read, cut short at any byte, and nothing else passes for one."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from envmatrix.exceptions import RunFileError, RunNameError
from envmatrix.runs.events import SCHEMA, Attempt, Attestation, Evidence, FindingRecord, Fingerprint, Footer
from envmatrix.runs.file import RunWriter, digest, event_line, read_run
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.run_files import footer, header, write_run

TEST = "tests/test_a.py::test_a"
EVIDENCE = Evidence(
    rule="I201",
    summary="backend is down: refused",
    phase="call",
    place="tests/test_a.py:3",
    exceptions=("AssertionError: no", "ConnectError: refused"),
    pings=(Ping(service="backend", status=PingStatus.DOWN),),
    detail="def test_a(): ...",
)

attempts = st.builds(
    Attempt,
    test=st.text(st.characters(exclude_categories=())),
    outcome=st.sampled_from([outcome for outcome in Outcome if outcome not in {Outcome.FLAKY, Outcome.NOT_RUN}]),
    duration=st.floats(0, 1e6).map(lambda seconds: round(seconds, 6)),
    worker=st.sampled_from(["", "gw0"]),
    reason=st.text(st.characters(exclude_categories=())),
    cause=st.none() | st.sampled_from(Cause),
    evidence=st.none() | st.just(EVIDENCE),
    services=st.sampled_from([(), ("backend", "redis")]),
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for many small files."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.fault("hostile-test-name")
@given(tries=st.lists(attempts, max_size=5))
def test_what_is_written_is_read_again(directory: Path, tries: list[Attempt]) -> None:
    """Every attempt survives the file, whatever its texts are: lone surrogates, control characters, newlines."""
    path = directory / "run.jsonl"
    path.unlink(missing_ok=True)
    run = write_run(path, *tries, planned=[attempt.test for attempt in tries])
    written: dict[str, list[Attempt]] = {}
    for attempt in tries:
        written.setdefault(attempt.test, []).append(attempt)
    assert {test: list(cell.attempts) for test, cell in run.cells.items()} == written
    assert run.header == header(planned=[attempt.test for attempt in tries])
    assert run.footer == footer()


@pytest.mark.fault("half-written-jsonl")
def test_a_file_cut_at_any_byte_loses_at_most_one_test(tmp_path: Path) -> None:
    """A run killed while it wrote is read up to its last whole line, and is incomplete."""
    planned = [f"t.py::test_{number}" for number in range(3)]
    whole = tmp_path / "whole.jsonl"
    write_run(whole, *(Attempt(test, Outcome.PASSED) for test in planned), planned=planned)
    data = whole.read_bytes()
    cut = tmp_path / "cut.jsonl"
    for size in range(data.index(b"\n") + 1, len(data)):
        cut.write_bytes(data[:size])
        run = read_run(cut)
        assert run.footer is None
        assert not run.complete
        assert sum(cell.outcome is Outcome.PASSED for cell in run.cells.values()) == data[:size].count(b"\n") - 1
        assert list(run.cells) == planned


def test_what_was_planned_and_never_ended_is_not_run(tmp_path: Path) -> None:
    """Every planned test has a cell; one without an attempt is `not_run` by the harness, with the reason."""
    run = write_run(tmp_path / "r", planned=[TEST], end=footer(exit_code=143, reason="terminated by SIGTERM"))
    cell = run.cells[TEST]
    assert (cell.outcome, cell.cause, cell.reason) == (Outcome.NOT_RUN, Cause.HARNESS, "terminated by SIGTERM")
    assert not run.complete


def test_attempts_in_any_order_make_cells_in_the_order_planned(tmp_path: Path) -> None:
    """Workers end tests in an order of their own, and try some again; the cells stand as planned, the unplanned last."""
    tries = [Attempt(test, outcome) for test, outcome in zip("xcabc", map(Outcome, _OUTCOMES), strict=True)]
    run = write_run(tmp_path / "r", *tries, planned=["a", "b", "c", "d"])
    assert {test: cell.outcome.value for test, cell in run.cells.items()} == {
        "a": "passed",
        "b": "passed",
        "c": "flaky",
        "d": "not_run",
        "x": "passed",
    }


_OUTCOMES = ("passed", "failed", "passed", "passed", "passed")


@pytest.mark.parametrize("planned", [["a", "b"], ["b", "a"], ["a"]])
def test_a_run_is_the_same_read_beside_another(tmp_path: Path, planned: list[str]) -> None:
    """Names are shared with a run of the same plan; what a run says is its own."""
    other = write_run(tmp_path / "other", Attempt("a", Outcome.FAILED), planned=["a", "b"])
    run = write_run(tmp_path / "r", Attempt("b", Outcome.PASSED), planned=planned)
    beside = read_run(tmp_path / "r", other)
    assert beside == run
    assert list(beside.cells) == list(run.cells)
    assert (beside.header.planned is other.header.planned) is (planned == ["a", "b"])


def test_what_ran_unplanned_is_kept(tmp_path: Path) -> None:
    """A test that the header did not plan comes after those that it did."""
    run = write_run(tmp_path / "r", Attempt("b", Outcome.PASSED), Attempt("a", Outcome.PASSED), planned=["a"])
    assert list(run.cells) == ["a", "b"]


@pytest.mark.fault("flaky-retry")
@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("passed", Outcome.PASSED),
        ("failed passed", Outcome.FLAKY),
        ("failed failed passed", Outcome.FLAKY),
        ("passed failed", Outcome.FAILED),
        ("failed skipped", Outcome.FAILED),
        ("failed xfailed", Outcome.FAILED),
        ("failed xpassed", Outcome.FAILED),
        ("skipped passed", Outcome.PASSED),
        ("skipped skipped", Outcome.SKIPPED),
    ],
)
def test_attempts_fold_into_one_outcome(tmp_path: Path, outcomes: str, expected: Outcome) -> None:
    """Only a later pass takes a failure back, and the cell then says flaky; the failure's cause is kept."""
    tries = [
        Attempt(TEST, outcome, 0.5, cause=Cause.LOGIC if outcome is Outcome.FAILED else None)
        for outcome in map(Outcome, outcomes.split())
    ]
    cell = write_run(tmp_path / "r", *tries).cells[TEST]
    assert cell.outcome is expected
    assert cell.cause is (Cause.LOGIC if "failed" in outcomes.split() else None)
    assert cell.duration == pytest.approx(0.5 * len(tries))
    assert cell.attempts == tuple(tries)


def test_findings_are_kept(tmp_path: Path) -> None:
    """What belongs to the run rather than to a test is read again."""
    finding = FindingRecord(rule="C101", message="no fixture", place="conftest.py:3", hint="move it", tests=(TEST,))
    assert write_run(tmp_path / "r", findings=[finding]).findings == (finding,)


def test_fingerprints_of_shards_are_one(tmp_path: Path) -> None:
    """Each shard may have used other services. A lone surrogate in a document is read again."""
    path = tmp_path / "run.jsonl"
    first = Fingerprint({"backend": {"flags": {"new": "\ud800"}}}, {"backend": {"openapi": "timeout"}})
    writer = RunWriter(path)
    for event in (header(), first, Fingerprint({"database": {}}), footer()):
        writer.write(event)
    writer.close()
    assert read_run(path).fingerprint == Fingerprint({**first.services, "database": {}}, first.unread)


def test_a_run_file_is_never_written_over(tmp_path: Path) -> None:
    """A second writer of the same path is refused, and the first one's lines stay."""
    first = RunWriter(tmp_path / "r")
    first.write(header())
    first.close()
    with pytest.raises(FileExistsError):
        RunWriter(tmp_path / "r")
    assert read_run(tmp_path / "r").header == header()


@pytest.mark.fault("disk-full")
def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A line that does not fit raises and leaves nothing of itself; the next one is not glued to a torn one."""
    path = tmp_path / "r"
    program = """
import pathlib, resource, sys
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.file import event_line, RunWriter
from tests.framework.run_files import header
writer = RunWriter(pathlib.Path(sys.argv[1]))
writer.write(header(planned=["a", "b"]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (writer.path.stat().st_size + 30, hard))
try:
    writer.write(Attempt("a", Outcome.PASSED, 0.1))
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
writer.write(Attempt("b", Outcome.PASSED, 0.1))
"""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=root, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "File too large\n"
    outcomes = {test: cell.outcome for test, cell in read_run(path).cells.items()}
    assert outcomes == {"a": Outcome.NOT_RUN, "b": Outcome.PASSED}


def line(**event: object) -> bytes:
    """One line of a run file."""
    return json.dumps(event).encode() + b"\n"


HEAD = event_line(header(planned=[]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", ": is empty: the run ended before its tests were collected", id="empty"),
        pytest.param(HEAD[:-1], ": is empty: the run ended before its tests were collected", id="torn header"),
        pytest.param(b"\x7fELF\x00\xff\n", ":1: is no run file: not JSON", id="binary"),
        pytest.param(b"[1]\n", ":1: is no run file: the first line is not a header", id="list"),
        pytest.param(b"[" * 100_000 + b"\n", ":1: is no run file: the first line is not a header", id="nested"),
        pytest.param(line(type="attempt"), ":1: is no run file: the first line is not a header", id="headless"),
        pytest.param(HEAD + HEAD, ":2: holds a second header: two runs wrote to one file", id="two headers"),
        pytest.param(
            line(type="header", schema=SCHEMA),
            ":1: is damaged: Object missing required field `run_id`",
            id="header",
        ),
    ],
)
def test_what_is_no_run_file_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    """The error names the file, the line and what is wrong with it."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunFileError) as caught:
        read_run(path)
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.fault("writer-reader")
@pytest.mark.parametrize(
    ("damaged", "what"),
    [
        pytest.param(b"\xff\n", "not JSON", id="garbage"),
        pytest.param(line(type="attempt"), "Object missing required field `test`", id="nameless"),
        pytest.param(
            line(type="attempt", test=7, outcome="passed"),
            "Expected `str`, got `int` - at `$.test`",
            id="number for a name",
        ),
        pytest.param(
            line(type="attempt", test="a", outcome="great"),
            "Invalid enum value 'great' - at `$.outcome`",
            id="unknown outcome",
        ),
        pytest.param(
            line(type="attempt", test="a", outcome="failed", evidence={"rule": "L401", "summary": "", "pings": [{}]}),
            "Object missing required field `service` - at `$.evidence.pings[0]`",
            id="nameless ping",
        ),
        pytest.param(
            line(type="footer", ended_at="x", duration=1.0),
            "Object missing required field `exit_code`",
            id="footer",
        ),
    ],
)
def test_a_damaged_line_costs_its_test_and_not_the_run(tmp_path: Path, damaged: bytes, what: str) -> None:
    """The test that it was about was not run, a finding says why, and the others count."""
    path = tmp_path / "run.jsonl"
    whole = [event_line(event) for event in (header(planned=["a", "b"]), Attempt("b", Outcome.PASSED), footer())]
    path.write_bytes(b"".join([whole[0], damaged, *whole[1:]]))
    run = read_run(path)
    why = f"line 2 of the run file is damaged: {what}"
    assert [(finding.rule, finding.message, finding.place) for finding in run.findings] == [
        ("H303", why, "run.jsonl:2")
    ]
    assert {test: cell.outcome for test, cell in run.cells.items()} == {"a": Outcome.NOT_RUN, "b": Outcome.PASSED}
    assert run.cells["a"].reason == why


@pytest.mark.fault("clock-step")
@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf"), 10**400])
def test_a_duration_is_a_number_of_seconds(tmp_path: Path, duration: float) -> None:
    """Negative and endless durations are no durations: their line is damaged, and names its test where it is JSON."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(HEAD + line(type="attempt", test="a", outcome="passed", duration=duration))
    (finding,) = read_run(path).findings
    assert finding.message.startswith("line 2 of the run file is damaged")
    assert finding.tests in {(), ("a",)}


numbers = st.integers() | st.floats()
texts = st.text() | st.text(st.characters(exclude_categories=()), max_size=3).map(lambda text: text * 400_000)


@pytest.mark.fault("writer-reader")
@settings(max_examples=10, deadline=None)
@given(
    attempt=st.builds(
        Attempt,
        test=st.just("a"),
        outcome=st.just(Outcome.FAILED),
        duration=numbers,
        reason=texts,
        evidence=st.builds(
            Evidence,
            rule=st.just("L401"),
            summary=texts,
            exceptions=st.lists(texts, max_size=3).map(tuple),
            logs=st.dictionaries(st.text(max_size=5), texts, max_size=2),
            detail=texts,
        ),
    ),
    end=st.builds(structs.replace, st.just(footer()), duration=numbers, reason=texts),
)
def test_whatever_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, attempt: Attempt, end: Footer) -> None:
    """Clocks that run backwards, texts of megabytes and half surrogate pairs cost no line."""
    path = tmp_path_factory.mktemp("run") / "run.jsonl"
    writer = RunWriter(path)
    for event in (header(planned=["a"]), attempt, end):
        writer.write(event)
    writer.close()
    run = read_run(path)
    assert run.findings == ()
    assert run.cells["a"].outcome is Outcome.FAILED
    assert run.cells["a"].duration >= 0
    assert run.footer is not None
    assert path.stat().st_size < 64 << 20


@pytest.mark.fault("mixed-schema")
def test_a_newer_schema_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    """A file that a later version wrote is refused rather than misread."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(line(type="header", schema=SCHEMA + 1))
    with pytest.raises(RunFileError) as caught:
        read_run(path)
    assert str(caught.value) == (
        f"{path}: is of schema 3; this envmatrix reads schema 2. Read it with the version that wrote it"
    )


def test_what_a_newer_version_adds_is_passed_over(tmp_path: Path) -> None:
    """Events and keys that do not change the meaning of the others are ignored."""
    path = tmp_path / "run.jsonl"
    evidence = {"rule": "L401", "summary": "no", "mood": "bad"}
    more = line(type="attempt", test="a", outcome="failed", cause="logic", evidence=evidence, colour="red")
    path.write_bytes(HEAD + line(type="weather", sky="blue") + more)
    assert read_run(path).cells["a"].evidence == Evidence(rule="L401", summary="no")


@pytest.mark.fault("huge-file")
def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    """A sparse gigabyte without a newline is refused after its first 64 MiB."""
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunFileError, match="a line is longer than 64 MiB"):
        read_run(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """The operating system's reason is passed on."""
    with pytest.raises(RunFileError) as caught:
        read_run(tmp_path / "none")
    assert str(caught.value) == f"{tmp_path / 'none'}: cannot be read: No such file or directory"


def test_a_footer_alone_does_not_make_a_run_complete(tmp_path: Path) -> None:
    """Complete is a footer, and an end for every planned test."""
    assert write_run(tmp_path / "a", Attempt(TEST, Outcome.FAILED)).complete
    assert not write_run(tmp_path / "b", planned=[TEST]).complete
    assert not write_run(tmp_path / "c", Attempt(TEST, Outcome.PASSED), end=None).complete


def test_a_header_that_lost_a_planned_test_is_refused(tmp_path: Path) -> None:
    """The planned node ids are hashed: one that went missing on the way cannot go missing from the matrix."""
    path = tmp_path / "r"
    whole = structs.replace(header(planned=["a", "b"]), planned_digest=digest(["a", "b"]))
    RunWriter(path).write(whole)
    assert set(read_run(path).cells) == {"a", "b"}
    path.write_text(path.read_text().replace('["a","b"]', '["a"]'))
    with pytest.raises(RunFileError, match="lost planned tests"):
        read_run(path)


@pytest.mark.fault("mid-run-redeploy")
def test_a_service_that_says_something_else_later_is_named(tmp_path: Path) -> None:
    """Two commits of one service in one run are told, whoever saw them and when; a service that is down tells nothing."""
    path = tmp_path / "r"
    writer = RunWriter(path)
    writer.write(header(planned=["a"]))

    def said(commit: str) -> Ping:
        return Ping(service="backend", status=PingStatus.UP, identity={"service": "backend", "commit": commit})

    silent = Ping(service="auth", status=PingStatus.DOWN)
    writer.write(Attestation(moment="before", services={"backend": said("one"), "auth": said("one")}))
    writer.write(Attestation(moment="after", worker="gw1", services={"backend": said("two"), "auth": silent}))
    assert read_run(path).redeployed == ("backend: commit one, service backend → commit two, service backend",)


def test_a_blocked_test_is_not_run_with_the_cause_that_blocks_it(tmp_path: Path) -> None:
    """A test that another's failure kept from running is no failure of its own, and says what it waits for."""
    path = tmp_path / "r"
    writer = RunWriter(path)
    writer.write(header(planned=["a"]))
    evidence = Evidence("I201", "blocked by the smoke check: backend is down", phase="smoke")
    writer.write(Attempt("a", Outcome.NOT_RUN, cause=Cause.INFRASTRUCTURE, evidence=evidence))
    cell = read_run(path).cells["a"]
    assert (cell.outcome, cell.cause, cell.evidence) == (Outcome.NOT_RUN, Cause.INFRASTRUCTURE, evidence)


@pytest.mark.fault("name-as-path")
def test_the_environment_that_a_run_is_judged_as_is_a_name(tmp_path: Path) -> None:
    """As the run's own name is: a run file of somebody else leads to no other file."""
    with pytest.raises(RunNameError, match=r"'\.\./\.\./secret' is no name of an environment"):
        write_run(tmp_path / "pr-123.jsonl", environment="pr-123", base="../../secret")
