"""The baseline of the audit: what is known is not told again, wherever it has moved, and nothing else is kept quiet."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.analysis.audit.baseline import AuditBaseline, KnownFinding
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.exceptions import DeclarationError

ONE = AuditFinding("tests/a.py", 3, 1, "EM101", "fixture 'x' of tests/conftest.py is asked for")
OTHER = AuditFinding("tests/b.py", 3, 1, "EM105", "fixture 'y' is never asked for")
EVERYWHERE: Callable[[KnownFinding], bool] = lambda _: True  # noqa: E731  the shortest way to say it


def of(*findings: AuditFinding) -> AuditBaseline:
    """Return the baseline that holds these."""
    return AuditBaseline.empty().updated(findings, EVERYWHERE)


def test_a_finding_that_moved_is_known_and_another_one_is_not() -> None:
    """Its line does not count; file, code and message do."""
    moved = replace(ONE, line=90, column=5)
    assert of(ONE).without([moved], EVERYWHERE) == ([], ())
    for other in (replace(ONE, path="tests/c.py"), replace(ONE, code="EM102"), replace(ONE, message="another")):
        assert of(ONE).without([other], EVERYWHERE)[0] == [other]


def test_what_is_there_once_more_than_it_was_is_told() -> None:
    """Two of a kind are held as two, so that a third one is new."""
    again = [replace(ONE, line=line) for line in (4, 5, 6)]
    assert of(*again[:2]).without(again, EVERYWHERE) == (again[2:], ())


def test_an_entry_that_fits_nothing_any_more_is_stale() -> None:
    """Only where this audit would have found it: of other files and rules it knows nothing."""
    known = of(ONE, ONE, OTHER)
    assert known.without([ONE, OTHER], EVERYWHERE) == ([], (KnownFinding.of(ONE),))
    assert known.without([], lambda entry: entry.code == "EM105") == ([], (KnownFinding.of(OTHER),))


def test_an_update_keeps_what_it_had_no_view_of() -> None:
    """An audit of one directory does not throw away what is known of the others."""
    made = of(ONE, OTHER).updated([], lambda entry: entry.path == "tests/a.py")
    assert made == of(OTHER)


def test_the_file_is_sorted_and_the_same_whatever_the_order(tmp_path: Path) -> None:
    """One finding a line, for a review to read; it is read back as it was."""
    for name, findings in (("a", (OTHER, ONE, ONE)), ("b", (ONE, OTHER, ONE))):
        of(*findings).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    lines = (tmp_path / "a").read_text().splitlines()
    assert lines[3] == (
        '    {"path": "tests/a.py", "code": "EM101", '
        '"message": "fixture \'x\' of tests/conftest.py is asked for", "count": 2},'
    )
    assert AuditBaseline.read(tmp_path / "a") == of(ONE, ONE, OTHER)


@pytest.mark.fault("hostile-test-name")
def test_any_name_survives_the_file(tmp_path: Path) -> None:
    """Lone surrogates and control characters are escapes in it."""
    strange = replace(ONE, path="a\udc80\n.py", message="\x1b[31m\u2028")
    of(strange).write(tmp_path / "a")
    assert (tmp_path / "a").read_text().isascii()
    assert AuditBaseline.read(tmp_path / "a") == of(strange)


@pytest.mark.fault("baseline-tampered")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 1}',
        '{"schema": 2, "findings": []}',
        '{"schema": 1, "findings": [{"path": "a"}]}',
        '{"schema": 1, "findings": [{"path": "a", "code": "EM101", "message": "m", "count": -1}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    """In one line that names the file and says how to make one."""
    (tmp_path / "a").write_text(text)
    with pytest.raises(DeclarationError, match=r"a: is .*--update-baseline"):
        AuditBaseline.read(tmp_path / "a")


@pytest.mark.fault("baseline-missing")
def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Whoever names it means it."""
    with pytest.raises(DeclarationError, match="No such file"):
        AuditBaseline.read(tmp_path / "gone")
