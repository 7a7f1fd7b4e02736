"""What a round of tests changed, for whoever waits for it: what is fixed, what broke, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.text import Text

from envmatrix.matrix.compare import ChangeKind, Comparison
from envmatrix.report.compare.text import KIND_STYLES, NAMED, detail_of, kind_word
from envmatrix.report.console import printed, short
from envmatrix.report.text import inert

_SAID = (
    ChangeKind.REGRESSED,
    ChangeKind.FIXED,
    ChangeKind.CAUSE_CHANGED,
    ChangeKind.CHANGED,
    ChangeKind.NEWLY_SKIPPED,
    ChangeKind.NEW,
    ChangeKind.REMOVED,
)


def render(comparison: Comparison) -> str:
    """Return a line for each test that changed, all environments in which it did so alike together."""
    lines = list(_gaps(comparison))
    for kind in _SAID:
        lines += _kind(comparison, kind)
    return printed(Group(*lines, Text())) if lines else "nothing changed\n\n"


def _gaps(comparison: Comparison) -> Iterator[Text]:
    """Yield why a round is not conclusive, where the one before was, or was not for another reason."""
    for environment in comparison.environments:
        gap = environment.after.gap if environment.after else ""
        if gap and not (environment.before and environment.before.gap == gap):
            yield Text.assemble((inert(environment.label), "bold"), f"  {short(gap)}")


def _kind(comparison: Comparison, kind: ChangeKind) -> Iterator[Text]:
    alike: dict[tuple[str, str], list[str]] = {}
    for environment in comparison.environments:
        if environment.before and environment.after and environment.after.cells:  # else every test is new, or gone
            for change in environment.changes:
                if change.kind is kind:
                    alike.setdefault((change.test, detail_of(change)), []).append(environment.label)
    style = KIND_STYLES.get(kind, "")
    for (test, detail), labels in list(alike.items())[:NAMED]:
        yield Text.assemble(
            (kind_word(kind), style),
            "  ",
            (short(test), "bold"),
            f"  {', '.join(map(inert, labels))}: {detail}".rstrip(": "),
        )
    if len(alike) > NAMED:
        yield Text(f"{kind_word(kind)}  and {len(alike) - NAMED} more", style)
