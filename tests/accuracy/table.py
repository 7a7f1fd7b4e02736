"""The report for people: a line per case, the errors, the confusion matrix, the two figures."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.accuracy.case import Truth
from tests.accuracy.score import EXACT, Grade, Result, Score

_STYLES = {
    Grade.OK: "green",
    Grade.INEXACT: "yellow",
    Grade.UNDETERMINED: "yellow",
    Grade.WRONG: "bold red",
    Grade.FALSE_GREEN: "bold white on red",
}
_NAME = 54
_CAUSE = 15
_RULE = 11


def heading() -> Text:
    """Return the words above the lines."""
    return Text(f"{'case':{_NAME}}{'expected':{_CAUSE}}{'found':{_CAUSE}}{'rule':{_RULE}}", style="bold")


def line(result: Result) -> Text:
    """Return one case's line."""
    case = result.case
    text = Text(f"{case.name:{_NAME - 1}} {result.expected:{_CAUSE}}{result.found:{_CAUSE}}{result.rule:{_RULE}}")
    text.append(str(result.grade), _STYLES[result.grade])
    text.append(f"  {result.seconds:.1f} s", "dim")
    if result.why:
        text.append(f"\n    injected: {case.injected}\n    {result.why}", "dim")
    for left in result.left:
        text.append(f"\n    left behind: {left}", _STYLES[Grade.WRONG])
    return text


def confusion(score: Score) -> Table:
    """Return the confusion matrix: a row per truth, a column per answer."""
    table = Table("expected \\ found", box=SIMPLE)
    for found in Truth:
        table.add_column(str(found), justify="right")
    for expected, row in score.confusion.items():
        table.add_row(str(expected), *(_cell(row[found], right=found is expected) for found in Truth))
    return table


def _cell(count: int, *, right: bool) -> Text:
    if not count:
        return Text("·", style="dim")
    return Text(str(count), style="green" if right else "bold red")


def show(console: Console, score: Score, seconds: float) -> None:
    """Print the matrix, the two figures and what follows from them."""
    console.print(confusion(score))
    cases, exact = len(score.results), score.count(Grade.OK)
    console.print(f"false greens: {score.count(Grade.FALSE_GREEN)}", highlight=False)
    console.print(f"exact: {exact} of {cases}, {score.exact:.1%} (goal: {EXACT:.0%})", highlight=False)
    rest = [grade for grade in Grade if grade is not Grade.OK and score.count(grade)]
    if rest:
        console.print("the rest: " + ", ".join(f"{score.count(grade)} {grade}" for grade in rest), highlight=False)
    if score.left:
        console.print(f"runs that left something behind: {score.left}", style="bold red", highlight=False)
    console.print(f"{'holds' if score.holds else 'DOES NOT HOLD'}, {seconds:.0f} s", highlight=False)
