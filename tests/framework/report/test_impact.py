"""What a diff may change, for people and programs."""

from __future__ import annotations

import json

import pytest

from envmatrix.analysis.impact import Impact
from envmatrix.analysis.impact.contract import FieldChange, VersionBump
from envmatrix.report.impact import as_github, as_json, as_markdown, as_text

BACKEND = "backend.py is changed", "which local.toml starts as backend", "and real_services needs every service"
REMOVED = FieldChange("contract.py", "Services", "url", "removed")
FOUND = Impact(
    selected={
        "local": {"suite/test_a.py::test_one": BACKEND, "suite/test_a.py::test_two": ("test_two is changed",)},
        "staging": {},
        "": {f"unit/test_{file}.py::test_{n}": ("x.py is changed",) for file in range(10) for n in range(2)},
    },
    tests={"local": "ab", "staging": "ab", "": "x" * 40},
    nothing=("README.md is changed: documentation",),
)
BREAKING = Impact(
    selected={"local": {"t.py::test_a": ("Services.url is removed",)}},
    tests={"local": "a"},
    everything=(("Services.url is removed",),),
    fields=(REMOVED,),
    bump=VersionBump("1.4.0", "2.0.0", "1.4.0"),
)


def test_tests_stand_under_their_because() -> None:
    """Few are named, of many their files; what changes nothing is listed too."""
    assert as_text(FOUND, "main") == (
        "since main: 22 of 44 tests, counted once an environment, may come out otherwise\n"
        "\n"
        "local: all 2\n"
        f"  because {', '.join(BACKEND)}\n"
        "    suite/test_a.py::test_one\n"
        "  because test_two is changed\n"
        "    suite/test_a.py::test_two\n"
        "\n"
        "staging: none of 2\n"
        "\n"
        "no environment: 20 of 40\n"
        "  because x.py is changed\n"
        + "".join(f"    unit/test_{file}.py: 2 tests\n" for file in range(8))
        + "    and 2 more files\n"
        "\n"
        "changes no test:\n"
        "  README.md is changed: documentation\n"
    )


def test_environments_of_which_the_same_is_to_be_said_are_one() -> None:
    """Tests outside of environments stay by themselves."""
    same = {"t.py::test_a": ("x is changed",)}
    found = Impact({"a": same, "b": {}, "c": dict(same), "": same}, dict.fromkeys(["a", "b", "c", ""], "xy"))
    assert [line for line in as_text(found, "main").splitlines() if line.endswith("of 2")] == [
        "a, c: 1 of 2",
        "b: none of 2",
        "no environment: 1 of 2",
    ]
    assert "| a, c | 1 of 2 |" in as_markdown(found, "main")


def test_what_selects_everything_is_said_once() -> None:
    """Not again for each environment."""
    assert as_text(BREAKING, "main").count("because Services.url is removed") == 1


def test_a_long_way_is_shown_by_its_ends() -> None:
    """The document has all of it."""
    because = "f of a.py is changed", *(f"used by f{n} of b{n}.py" for n in range(7)), "which it uses"
    long = Impact({"local": {"t.py::test_a": because}}, {"local": "a"})
    said = "f of a.py is changed, used by f0 of b0.py, … 4 more steps …, used by f5 of b5.py, used by f6 of b6.py, which it uses"
    assert f"because {said}\n" in as_text(long, "main")
    assert ", ".join(because) in as_json(long, "main")


def test_many_becauses_are_counted() -> None:
    """A screen shows the first; the document has all."""
    many = Impact({"local": {f"t.py::test_{n}": (f"{n} is changed",) for n in range(20)}}, {"local": "a" * 20})
    assert as_text(many, "main").endswith("  and 14 more tests because of 14 more reasons: --format json has each\n")
    assert len(json.loads(as_json(many, "main"))["environments"][0]["selected"]) == 20
    assert "and 14 more reasons" in as_markdown(many, "main")


def test_a_breaking_contract_says_which_version_it_needs() -> None:
    """In every format; on GitHub it is an error on its file."""
    said = "contract: Services.url is removed: breaking, needs contract version 2.0.0, it is 1.4.0"
    assert said in as_text(BREAKING, "main")
    assert said in as_markdown(BREAKING, "main")
    assert f"::error file=contract.py,title=contract::{said}" in as_github(BREAKING, "main").splitlines()
    contract = json.loads(as_json(BREAKING, "main"))["contract"]
    assert (contract["breaking"], contract["needs"], contract["now"]) == (True, "2.0.0", "1.4.0")


def test_a_version_that_was_raised_is_no_error() -> None:
    """It is said all the same."""
    raised = Impact({"local": {}}, {"local": "a"}, fields=(REMOVED,), bump=VersionBump("1.4.0", "2.0.0", "2.0.0"))
    assert "::error" not in as_github(raised, "main")
    assert "needs contract version 2.0.0, as it is now" in as_text(raised, "main")


def test_github_shows_no_more_than_ten() -> None:
    """It drops the rest without a word: the last one says how many there are."""
    places = [f"env{n}" for n in range(30)]
    lines = as_github(Impact({name: {} for name in places}, dict.fromkeys(places, "a")), "main").splitlines()
    assert len(lines) == 10
    assert "and 21 more" in lines[-1]


@pytest.mark.fault("hostile-test-name")
def test_names_do_nothing() -> None:
    """A file's name may hold anything: commands, markup, colours."""
    name = "t.py::test_[\x1b[31m::error::<b>|`x`\n]"
    hostile = Impact({"local": {name: (name,)}}, {"local": "ab"}, everything=((name,),), nothing=(name,))
    for render in (as_text, as_markdown, as_github):
        out = render(hostile, "\x1b[0m")
        assert "\x1b" not in out
        assert all(line.startswith("::notice ") for line in out.splitlines() if line.startswith("::"))
        assert "\n::error" not in out
    assert json.loads(as_json(hostile, "x"))["nothing"] == [name]
