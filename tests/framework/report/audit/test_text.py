"""The audit as text: what linters print, on lines that hold whatever a tree is called."""

import re
from pathlib import Path

import pytest

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.report.audit import text
from tests.framework.report.audit.samples import MISSING, everything, hostile


def test_a_finding_has_its_place_its_tests_and_what_to_do() -> None:
    """Path, line and column as an editor takes them; then the number of tests, a few of them, and the hint."""
    assert text.render(everything()).splitlines() == [
        "tests/test_a.py:3:14: EM101 fixture 'real_services' is asked for, and none of that name is in sight",
        "    5 tests: tests/test_a.py::test_0, tests/test_a.py::test_1, tests/test_a.py::test_2 and 2 more",
        "    masked: a run of pytest does not show it, because of skip",
        "    help: tests/unit/conftest.py:5 provides it: move it to tests/conftest.py",
        "tests/conftest.py:9:1: EM105 fixture 'old' is never asked for",
        "    help: Remove it",
        "Found 2 findings in 20 tests of 4 files.",
        "2 suppressed by noqa, 3 known from the baseline.",
        "1 entry of the baseline fits nothing any more (--update-baseline takes them out):",
        "    tests/gone.py: EM104 fixtures ask for each other",
        "1 request is unknown (--show-unknown lists them).",
    ]


def test_what_another_environment_would_tell_is_said() -> None:
    """A plugin that is not installed leaves requests open; nothing found is not to be read as nothing wrong."""
    absent = AuditFinding("test_a.py", 1, 1, "EM108", "nobody can tell", absent=("plug",))
    last = text.render(AuditResult(Path.cwd(), (), unknown=(absent, absent))).splitlines()[-1]
    assert last == (
        "2 of them may come from a plugin that is not installed here (plug): --python names where tests run."
    )


def test_nothing_found_is_one_line() -> None:
    """It says of how much."""
    assert text.render(AuditResult(Path.cwd(), (), files=1, tests=2)) == "No findings in 2 tests of 1 file.\n"


def test_a_path_leads_there_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever audits from a subdirectory can open what is named."""
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path / "tests")
    assert text.render(AuditResult(tmp_path, (MISSING,))).startswith("../tests/test_a.py:3:14: EM101")


def test_statistics_count_by_rule() -> None:
    """The most first, with the rule's name, and whether `--fix` mends it."""
    lines = text.statistics(AuditResult(Path.cwd(), (*everything().findings, MISSING))).splitlines()
    assert lines[:2] == ["2  EM101  [*] fixture-not-found", "1  EM105  [ ] unused-fixture"]


def test_unknown_requests_are_listed_on_demand() -> None:
    """In the form of findings."""
    assert text.unknown(everything()).startswith("tests/test_b.py:7:2: EM108 the source does not tell")


@pytest.mark.parametrize(("name", "value", "coloured"), [("TERM", "xterm", True), ("NO_COLOR", "1", False)])
def test_colour_is_for_terminals(name: str, value: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for those who want none."""
    assert "\x1b" not in text.render(everything())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(name, value)
    assert ("\x1b[1;31mEM101\x1b[0m" in text.render(everything())) is coloured


@pytest.mark.fault("hostile-test-name")
def test_no_name_does_anything() -> None:
    """Every line is printable, bounded and begun by us; no CI log finds a command in it."""
    audit = hostile()
    lines = (text.render(audit) + text.unknown(audit)).splitlines()
    assert all(line.isprintable() and len(line) < 2000 for line in lines)
    assert not re.search(r"::(?:error|set-output)[^:]*::|##\[", "\n".join(lines))
    assert sum(line.startswith("tests/") for line in lines) == 2 * len(audit.findings)
