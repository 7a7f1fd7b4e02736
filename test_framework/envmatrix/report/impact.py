"""Report the tests that a diff may change, by environment and reason: as text, JSON, Markdown, annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from envmatrix.analysis.impact import NOWHERE, Because, Impact
from envmatrix.report.github import MOST, command
from envmatrix.report.markdown import code
from envmatrix.report.text import inert, plural
from envmatrix.runs.nodeid import file_of

SCHEMA = 1
_FEW = 5
"""Tests named under a reason; of more, the files with their numbers."""
_FILES = 8
"""Files named under a reason."""
_REASONS = 6
"""Reasons named of one environment."""
_STEPS = 5
"""Steps of a reason that are shown; of more, the first and the last ones."""


def as_text(impact: Impact, since: str) -> str:
    """Return the answer for people."""
    lines = [*_headline(impact, since)]
    for names, name in _alike(impact):
        lines += ["", f"{names}: {_share(impact, name)}"]
        groups = _groups(impact, name)
        for because, tests in groups[:_REASONS]:
            lines.append(f"  because {inert(_short(because))}")
            lines += [f"    {line}" for line in _named(tests)]
        if left := groups[_REASONS:]:
            number = sum(len(tests) for _, tests in left)
            lines.append(
                f"  and {plural(number, 'more test')} because of {plural(len(left), 'more reason')}: --format json has each"
            )
    if impact.nothing:
        lines += ["", "changes no test:"]
        lines += [f"  {inert(each)}" for each in impact.nothing]
    return "".join(f"{line}\n" for line in lines)


def as_markdown(impact: Impact, since: str) -> str:
    """Return the answer for a pull request or a job's summary."""
    lines = [f"### {line}" if number == 0 else f"- {line}" for number, line in enumerate(_headline(impact, since))]
    lines += ["", "| environment | tests | because |", "| --- | ---: | --- |"]
    for names, name in _alike(impact):
        groups = _groups(impact, name)
        becauses = "<br>".join(
            f"{code(_short(because), in_table=True)} ({len(tests)})" for because, tests in groups[:_REASONS]
        )
        left = len(groups) - _REASONS
        more = f"<br>and {plural(left, 'more reason')}" if left > 0 else ""
        lines.append(f"| {names} | {_share(impact, name)} | {becauses}{more} |")
    lines += ["", *(f"- {code(each)}" for each in impact.nothing)] if impact.nothing else []
    return "".join(f"{line}\n" for line in lines)


def as_github(impact: Impact, since: str) -> str:
    """Return one annotation an environment, and an error for a breaking change whose version was not raised."""
    lines = []
    if impact.bump is not None and not impact.bump.is_done:
        field = impact.fields[0]
        lines.append(command("contract", "; ".join(_contract(impact)), field.path))
    for name in impact.selected:
        groups = _groups(impact, name)
        more = f" and {len(groups) - 1} more reasons" if len(groups) > 1 else ""
        because = f", because {_short(groups[0][0])}{more}" if groups else ""
        title = f"impact since {since}: {_label(name)}"
        lines.append(command(title, f"{_share(impact, name)}{because}", level="notice"))
    if len(lines) > MOST:
        left = len(lines) - MOST + 1
        lines[MOST - 1 :] = [command("impact", f"and {left} more: --format markdown has them all", level="notice")]
    return "".join(f"{line}\n" for line in lines)


def as_json(impact: Impact, since: str) -> str:
    """Return the answer for programs."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "since": since,
        "environments": [
            {"name": name, "tests": len(impact.tests[name]), "selected": _entries(selected)}
            for name, selected in impact.selected.items()
            if name != NOWHERE
        ],
        "no_environment": {
            "tests": len(impact.tests.get(NOWHERE, ())),
            "selected": _entries(impact.selected.get(NOWHERE, {})),
        },
        "everything": [", ".join(why) for why in impact.everything],
        "nothing": list(impact.nothing),
        "contract": None,
    }
    if impact.bump is not None:
        document["contract"] = {
            "fields": [
                {"contract": each.contract, "field": each.field, "what": each.what, "detail": each.detail}
                for each in impact.fields
            ],
            "breaking": any(each.is_breaking for each in impact.fields),
            "before": impact.bump.before,
            "needs": impact.bump.needed,
            "now": impact.bump.now,
        }
    return json.dumps(document, indent=2) + "\n"


def _entries(selected: Mapping[str, Because]) -> list[dict[str, str]]:
    return [{"test": test, "because": ", ".join(because)} for test, because in selected.items()]


def _headline(impact: Impact, since: str) -> Iterator[str]:
    total = sum(map(len, impact.selected.values()))
    of = sum(map(len, impact.tests.values()))
    yield f"since {inert(since)}: {total} of {of} tests, counted once an environment, may come out otherwise"
    for why in impact.everything[:_REASONS]:
        yield f"everything, because {inert(_short(why))}"
    if (left := len(impact.everything) - _REASONS) > 0:
        yield f"everything, because of {left} more reasons"
    yield from _contract(impact)


def _contract(impact: Impact) -> Iterator[str]:
    if impact.bump is None:
        return
    fields = ", ".join(inert(str(each)) for each in impact.fields)
    kind = "breaking" if any(each.is_breaking for each in impact.fields) else "compatible"
    done = "as it is now" if impact.bump.is_done else f"it is {impact.bump.now}"
    yield f"contract: {fields}: {kind}, needs contract version {impact.bump.needed}, {done}"


def _label(name: str) -> str:
    return inert(name) if name != NOWHERE else "no environment"


def _share(impact: Impact, name: str) -> str:
    selected, of = len(impact.selected[name]), len(impact.tests[name])
    return f"none of {of}" if not selected else f"all {of}" if selected == of else f"{selected} of {of}"


def _alike(impact: Impact) -> Iterator[tuple[str, str]]:
    """Yield the names of environments with the same selection, and the first of them."""
    names_by_first: dict[str, list[str]] = {}
    for name, selected in impact.selected.items():
        same = (each for each in names_by_first if name and each and impact.selected[each] == selected)
        first = next((each for each in same if len(impact.tests[each]) == len(impact.tests[name])), name)
        names_by_first.setdefault(first, []).append(name)
    for first, names in names_by_first.items():
        yield ", ".join(map(_label, names)), first


def _groups(impact: Impact, name: str) -> list[tuple[Because, Sequence[str]]]:
    """Return each reason with its tests, the reason with most tests first.

    Reasons that select every test are left out: they are at the top.
    """
    groups: dict[Because, list[str]] = {}
    for test, because in impact.selected[name].items():
        if because not in impact.everything:
            groups.setdefault(because, []).append(test)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _short(because: Because) -> str:
    """Return the steps of a reason in words, without the middle of a long way."""
    left = len(because) - _STEPS
    shown = because if left < 2 else (*because[:2], f"… {left} more steps …", *because[2 - _STEPS :])  # noqa: PLR2004
    return ", ".join(shown)


def _named(tests: Sequence[str]) -> Iterator[str]:
    """Name tests: each, where they are few; else their files."""
    if len(tests) <= _FEW:
        yield from map(inert, tests)
        return
    files: dict[str, int] = {}
    for test in tests:
        file = file_of(test)
        files[file] = files.get(file, 0) + 1
    for file, number in list(files.items())[:_FILES]:
        yield f"{inert(file)}: {plural(number, 'test')}"
    if len(files) > _FILES:
        yield f"and {plural(len(files) - _FILES, 'more file')}"
