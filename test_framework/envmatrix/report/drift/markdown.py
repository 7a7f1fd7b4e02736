"""How environments differ, as GitHub-flavoured Markdown: for a job's summary or an issue."""

from __future__ import annotations

from collections.abc import Iterator

from envmatrix.matrix.drift import Drift, Split
from envmatrix.report.drift.words import NAMED, answer, caution, heads, no_result, result, service, values
from envmatrix.report.markdown import code, page


def render(drift: Drift) -> str:
    """Return the report, cut where GitHub would refuse it."""
    return page(_lines(drift))


def _lines(drift: Drift) -> Iterator[str]:
    yield f"## Drift: {answer(drift)}"
    for split in drift.splits:
        yield from ("", *_table(drift, split), "")
        yield from _more(len(split.differences))
        yield from (f"- {code(test)}: {code(result(drift, split, test))}" for test in list(split.results)[:NAMED])
        yield from _more(len(split.results))
        yield from (f"- {text}" for text in [no_result(drift, split)] if text)
    yield from ("", *(f"- unknown: {code(gap)}" for gap in drift.unknown))
    yield from ("", caution(drift))


def _table(drift: Drift, split: Split) -> Iterator[str]:
    rows = [("service", "trait", *(code(head, in_table=True) for head in heads(drift, split)))]
    rows += [("---",) * len(rows[0])]
    for each in split.differences[:NAMED]:
        texts = (service(each), each.trait, *values(split, each))
        rows.append(tuple(code(text, in_table=True) for text in texts))
    return (f"| {' | '.join(row)} |" for row in rows)


def _more(number: int) -> Iterator[str]:
    if number > NAMED:
        yield f"- and {number - NAMED} more, which `--json` has"
