"""Report what `envmatrix doctor` saw: the findings first, each with its mend and whom it matters for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from envmatrix.masking import MASKER
from envmatrix.report import documents
from envmatrix.report.text import inert, plural
from envmatrix.runner.doctor import Check

SCHEMA = 1


def as_text(checks: Sequence[Check]) -> str:
    """Return a line for each thing seen; two more for a finding."""
    findings = [each for each in checks if each.mend]
    lines = []
    for each in findings:
        lines += [f"FINDING  {each.name}: {each.message}", f"  mend:    {each.mend}"]
        lines += [f"  matters: {', '.join(each.environments)}"] if each.environments else []
    lines += [f"fine     {each.name}: {each.message}" for each in checks if not each.mend]
    lines.append(plural(len(findings), "finding") if findings else "Nothing stands in the way.")
    return MASKER.mask("".join(f"{inert(line)}\n" for line in lines))


def as_json(checks: Sequence[Check]) -> str:
    """Return everything as one document."""
    return MASKER.mask(documents.as_json({"schema": SCHEMA, "checks": [asdict(each) for each in checks]}))
