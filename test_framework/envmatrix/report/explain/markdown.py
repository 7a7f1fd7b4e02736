"""Lay out an explanation as Markdown: for a ticket, or for an assistant that has only files."""

from __future__ import annotations

from collections.abc import Iterator

from envmatrix.report.explain.entries import Explanation
from envmatrix.report.markdown import block, code
from envmatrix.report.text import first_line, middle
from envmatrix.report.words import word

_LONGEST = 6_000
"""Characters of one text; `envmatrix explain --json` has all."""
_MOST = 20
"""Entries of one list."""


def render(explanation: Explanation, room: int) -> str:
    """Return a page of at most `room` characters: what does not fit is left out, the least telling first.

    The command to run the test again is never cut. Where even the first lines have no room, the page is longer.
    """
    title = f"# {code(explanation.test)}\n\n{code(explanation.headline)}\n"
    parts = [title]
    left_out: list[str] = []
    room -= len(title) + 200  # for the line that says what is left out
    for name, lines in _sections(explanation):
        part = "\n".join(["", f"## {name}", "", *lines, ""])
        if len(part) > room:
            left_out.append(name)
            continue
        parts.append(part)
        room -= len(part)
    if left_out:
        parts.append(f"\nLeft out here: {len(left_out)} sections. `envmatrix explain --json` has them.\n")
    return "".join(parts)


def _sections(explanation: Explanation) -> Iterator[tuple[str, list[str]]]:
    """Yield title and lines of each section that has any, the most telling first."""
    for title, lines in (
        ("What to do next", [f"- {code(step)}" for step in explanation.next]),
        ("Run exactly this again", block(explanation.rerun, "sh") if explanation.rerun else []),
        ("Where", _where(explanation)),
        ("The failure", block(middle(explanation.detail, _LONGEST)) if explanation.detail else []),
        ("Exceptions, outermost first", _list(explanation.exceptions)),
        ("What the services said", list(_services(explanation))),
        ("What the test asked for, oldest first", _list(explanation.exchanges[-_MOST:])),
        ("Subtests that failed", _list([f"{part.label} {part.why}" for part in explanation.parts])),
        ("The rule that decided", _rule(explanation)),
        ("Attempts", _attempts(explanation)),
        ("The same, for the same reason", _list(explanation.alike)),
    ):
        if lines:
            yield title, lines
    for service, log in list(explanation.logs.items())[:_MOST]:
        yield f"The end of a log: {code(service)}", block(log[-_LONGEST:])


def _where(explanation: Explanation) -> list[str]:
    facts = {"place": explanation.place, "phase": explanation.phase, "worker": explanation.worker}
    if run := explanation.run:
        facts |= {"run": run.run_id, "commit": run.commit, "ended": run.ended}
    return [f"- {name}: {code(value)}" for name, value in facts.items() if value]


def _services(explanation: Explanation) -> Iterator[str]:
    first, last = explanation.moments
    for each in explanation.services:
        claims = f", claims to be {code(each.claims)}" if each.claims else ""
        yield f"- {code(each.service)} ({code(each.source)}): {first} {code(each.before)}, {last} {code(each.after)}{claims}"


def _rule(explanation: Explanation) -> list[str]:
    rule = explanation.rule
    if rule is None:
        return []
    return [
        f"- {code(rule.code)} {rule.title}: {code(rule.meaning)}",
        *_list([f"{c}: {m}" for c, m in rule.also.items()]),
    ]


def _attempts(explanation: Explanation) -> list[str]:
    if len(explanation.attempts) < 2:  # noqa: PLR2004  one attempt is what the page is about
        return []
    return [f"- {word(each.outcome)}: {code(first_line(each.why))}" for each in explanation.attempts]


def _list(texts: list[str]) -> list[str]:
    more = [f"- and {len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return [*(f"- {code(text)}" for text in texts[:_MOST]), *more]
