"""The matrix on a terminal, and in a pipe."""

import io
from pathlib import Path

import pytest
from rich.console import Console, Group
from rich.text import Text

from envmatrix.gate import judge_all
from envmatrix.matrix.query import select
from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.matrix.terminal import MatrixLayout, render
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import HOSTILE, everything, hostile, judged
from tests.framework.run_files import write_run


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


def drawn(sample: JudgedMatrix, *, width: int, terminal: bool, colour: bool = True, full: bool = False) -> str:
    """The report as a console of some width shows it."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, no_color=not colour, highlight=False, markup=False
    )
    console.print(Group(*MatrixLayout(console, *sample, full=full).parts()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_words_in_ascii_120_wide(tmp_path: Path) -> None:
    """No escape, no glyph, no trailing blank; 120 columns where nothing tells the width."""
    text = render(everything(tmp_path), full=True)
    lines = text.splitlines()
    assert text.isascii()
    assert max(map(len, lines)) <= 120
    assert not [line for line in lines if line != line.rstrip()]
    assert lines[0] == "envmatrix  commit cccccccccccc, 2026-01-02 03:04:05 UTC"
    assert (
        "tests/test_b.py        -            -                  12 skip                                       no run"
        in lines
    )
    assert (
        "verdict                compatible   incompatible       incompatible                                  unknown"
        in lines
    )


def test_every_failure_is_told_with_its_cause_and_what_to_do(tmp_path: Path) -> None:
    """Cause, rule, what was seen, where; then the advice for the cause."""
    text = render(everything(tmp_path))
    assert (
        "  tests/test_legacy.py::test_it\n"
        "    failed       backend: contract C102: conftest.py:4: fixture 'real_services' lacks 'auth_url'\n"
        "    not planned  auth, local\n"
    ) in text
    assert "  contract C102: Mend that fixture" in text
    assert "  logic: mend the product or the test" in text


def test_the_rest_is_told_once_by_reason(tmp_path: Path) -> None:
    """Stand-ins, verdicts, what was not run, and what pytest said where there is no run; skips are counted."""
    text = render(everything(tmp_path))
    assert "  backend: 1 test not run: terminated by SIGTERM\n" in text
    assert "35 not planned, 1 xfailed, 12 skipped, for 5 reasons: envmatrix show --format full\n" in text
    assert "redis is absent" not in text
    assert "  local: 12 tests skipped: redis is absent\n" in render(everything(tmp_path / "again"), full=True)
    assert "  local: stub: llm; absent: redis\n" in text
    assert "  backend         incompatible  1 test failed: a fixture is missing or breaks its contract\n" in text
    assert "  staging (twin)  unknown       pytest ended with exit code 4\n" in text
    assert "The end of pytest's output in staging (twin):\n  ERROR: no such option: --bogus\n" in text


@pytest.mark.parametrize("full", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("width", [30, 40, 60, 80, 140, 200])
def test_it_fits_every_width(tmp_path: Path, width: int, full: bool) -> None:
    """No line is wider than the console, and each environment keeps its label and its verdict."""
    text = drawn(everything(tmp_path), width=width, terminal=False, full=full)
    assert max(map(len, text.splitlines())) <= width
    for word in ("auth", "backend", "local", "staging (twin)", "compatible", "incompatible", "unknown"):
        assert word in text
    assert "tests/test_a.py::test_two" in text


def test_a_narrow_terminal_has_no_table_and_breaks_no_word(tmp_path: Path) -> None:
    """30 columns: each environment in a few lines, and the failures below."""
    text = drawn(everything(tmp_path), width=30, terminal=False)
    assert "---" not in text
    for word in ("incompatible", "infrastructure", "AssertionError:"):
        assert f" {word}" in text


def test_of_many_files_those_that_passed_are_counted(tmp_path: Path) -> None:
    """More than a dozen: a file is a row where something in it is wrong, or was not run. With nothing left out, each is."""
    wrong = Attempt("tests/test_3.py::test_it", Outcome.FAILED, cause=Cause.LOGIC)
    passed = [Attempt(f"tests/test_{number}.py::test_it", Outcome.PASSED) for number in range(13)]
    passed[3] = wrong
    sample = judged(
        Matrix.from_runs([write_run(tmp_path / "many", *passed, planned=[a.test for a in passed] + ["x.py::y"])])
    )
    short = drawn(sample, width=120, terminal=False)
    rows = [line.split()[0] for line in short.splitlines() if ".py  " in line]
    assert rows == ["tests/test_3.py", "x.py"]
    assert "\nall of 14 files" in short
    full = drawn(sample, width=120, terminal=False, full=True)
    assert "\ntests/test_12.py " in full
    assert "\nall   " in full
    few = judged(Matrix.from_runs([write_run(tmp_path / "few", *passed[:12])]))
    assert "\ntests/test_11.py " in drawn(few, width=120, terminal=False)


@pytest.fixture
def well(tmp_path: Path) -> JudgedMatrix:
    """Four compatible environments of thirty files, which skip a test each for ten reasons."""
    passed = [Attempt(f"tests/test_{number}.py::test_it", Outcome.PASSED) for number in range(30)]
    skipped = [Attempt(f"tests/test_0.py::test_{number}", Outcome.SKIPPED, reason=f"{number}") for number in range(10)]
    sources = {"backend": "process", "llm": "stub", "redis": "absent", "database": "embedded"}
    names = ("auth_service", "backend", "local", "staging")
    runs = [write_run(tmp_path / name, *passed, *skipped, environment=name, sources=sources) for name in names]
    return judged(Matrix.from_runs(runs))


def test_where_everything_passes_it_is_one_screen(well: JudgedMatrix) -> None:
    """Of 80 columns and 24 lines; counts, services and stand-ins, and the command that lists what was skipped."""
    lines = drawn(well, width=80, terminal=True, colour=False).splitlines()
    plain = [Text.from_ansi(line).plain.rstrip() for line in lines]
    assert len(plain) <= 20
    assert "auth_service  compatible  ✓ 30 ○ 10" in plain
    assert "  embedded *1 process *1 stub *1; stub: llm; absent: redis".replace("*", "\N{MULTIPLICATION SIGN}") in plain
    assert plain[-1] == "40 skipped, for 10 reasons: envmatrix show --format full"
    full = drawn(well, width=80, terminal=True, full=True)
    assert "tests/test_29.py" in full
    assert "10 reasons" not in full


def test_a_remark_on_a_compatible_environment_is_kept(tmp_path: Path) -> None:
    """Such as that only a part of the suite was asked for."""
    run = write_run(tmp_path / "r", Attempt("a.py::a", Outcome.PASSED), narrowed=("-k", "a"))
    matrix = Matrix.from_runs([run])
    text = render(JudgedMatrix(matrix, judge_all(matrix, as_parts=True)))
    assert "local  compatible  1 ok\n" in text
    assert "  a part of the suite was asked for: -k a" in text


def test_why_nothing_was_run_is_never_only_counted(tmp_path: Path) -> None:
    """Where no test of an environment passed, what it skipped is what there is to tell; and what never ended, in any case."""
    run = write_run(tmp_path / "r", Attempt("a.py::a", Outcome.SKIPPED, reason="redis is absent"))
    assert "  local: 1 test skipped: redis is absent\n" in render(judged(Matrix.from_runs([run])))
    run = write_run(tmp_path / "s", Attempt("a.py::a", Outcome.PASSED), planned=["a.py::a", "a.py::b"], end=None)
    assert "  local: 1 test not run: " in render(judged(Matrix.from_runs([run])))


def test_what_a_query_selects_is_shown_by_file(well: JudgedMatrix) -> None:
    """Also where everything passes: somebody asked for it."""
    matrix = select(well.matrix, "passed", None)
    assert "\ntests/test_29.py " in drawn(JudgedMatrix(matrix, well.verdicts), width=80, terminal=False)


def test_many_environments_stand_below_each_other(tmp_path: Path) -> None:
    """What does not fit side by side becomes several tables; none is left out."""
    runs = [
        write_run(tmp_path / f"e{number}", Attempt("a.py::x", Outcome.PASSED), environment=f"environment_{number:02}")
        for number in range(12)
    ]
    matrix = Matrix.from_runs(runs)
    lines = drawn(judged(matrix), width=80, terminal=False, full=True).splitlines()
    heads = [line for line in lines if line.startswith("tests ")]
    assert len(heads) == 4
    assert "".join(heads).count("environment_") == 12


def test_a_terminal_gets_glyphs_and_colours(tmp_path: Path) -> None:
    """With the legend that explains the glyphs."""
    text = drawn(everything(tmp_path), width=120, terminal=True)
    assert "\x1b[" in text
    assert "✗ 1" in text
    plain = drawn(everything(tmp_path / "again"), width=120, terminal=True, colour=False)
    assert "\x1b[3" not in plain
    assert "✗ failed" in plain


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("width", [30, 60, 80, 133])
@pytest.mark.parametrize("full", [False, True], ids=["short", "full"])
def test_nothing_that_a_test_says_acts(tmp_path: Path, width: int, terminal: bool, full: bool) -> None:
    """No control character, no markup, no command that a CI log would obey, however the lines fold."""
    text = drawn(hostile(tmp_path), width=width, terminal=terminal, colour=False, full=full)
    for line in text.splitlines():
        shown = Text.from_ansi(line).plain  # rich makes bold and dim also without colours
        assert shown.isprintable(), ascii(line)
        assert not shown.lstrip().startswith(("::error::", "::set-output"))
        assert "##[" not in shown
        assert len(shown) <= width
    assert "[red]" in text


@pytest.mark.fault("zero-tests")
def test_an_empty_matrix_says_so(tmp_path: Path) -> None:
    """No rows, and the reason in the verdict."""
    matrix = Matrix.from_runs([write_run(tmp_path / "r")])
    text = render(judged(matrix))
    assert "  local  unknown  no test was collected\n" in text


def test_only_missing_runs_still_make_a_report() -> None:
    """Nothing ran anywhere: every environment with its reason."""
    matrix = Matrix.from_runs([], [MissingRun("a", "a", "gone"), MissingRun("b", "b", "gone too")])
    text = render(judged(matrix))
    assert text.startswith("envmatrix  no run\n")
    assert "  b  unknown  gone too\n" in text


@pytest.mark.fault("hostile-test-name")
def test_a_long_name_is_cut_in_its_middle(tmp_path: Path) -> None:
    """5 kB of name take one line; both ends are kept."""
    text = drawn(hostile(tmp_path), width=100, terminal=False)
    assert HOSTILE[14] not in text
    assert any("xxx...xxx" in line for line in text.splitlines())


@pytest.mark.fault("tls-bad-cert")
def test_a_service_that_was_not_verified_is_red(tmp_path: Path) -> None:
    """Above the column of each run that took any certificate."""
    run = write_run(
        tmp_path / "a.jsonl", Attempt("a.py::a", Outcome.PASSED, 1.0), sources={"api": "remote, unverified"}
    )
    text = drawn(judged(Matrix.from_runs([run])), width=120, terminal=True)
    assert "\x1b[1;31mremote, unverified \N{MULTIPLICATION SIGN}1" in text
