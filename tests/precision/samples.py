"""Judged findings: drawn from all by a seed, kept one a line, and counted by rule on docs/precision.md."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import msgspec

from envmatrix.analysis.audit.rules.catalog import ALL

HERE = Path(__file__).parent
FILE = HERE / "samples.jsonl"
PAGE = HERE.parents[1] / "docs/precision.md"
LEAST = 0.95
"""The precision below which a rule is opt-in."""
_SEED = "13"
_PER_RULE = 20


class Sample(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """A finding, and whether a maintainer of the package would want to be told."""

    rule: str
    package: str
    place: str
    message: str
    snippet: str
    is_right: bool | None = None
    """None until somebody has judged it."""
    why: str = ""

    @property
    def finding(self) -> tuple[str, ...]:
        """Return what is judged."""
        return self.rule, self.package, self.place, self.message


def draw(found: Iterable[Sample]) -> Iterator[Sample]:
    """Draw findings of each rule, of each package in turn: the same ones from the same findings."""
    drawn: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in sorted(found, key=_lot):
        drawn[sample.rule][sample.package].append(sample)
    for packages in drawn.values():
        turns = (sample for turn in zip_longest(*packages.values()) for sample in turn if sample is not None)
        yield from (sample for sample, _ in zip(turns, range(_PER_RULE), strict=False))


def _lot(sample: Sample) -> bytes:
    return hashlib.sha256("\0".join((_SEED, *sample.finding)).encode(errors="replace")).digest()


def judged(drawn: Iterable[Sample], known: Sequence[Sample]) -> list[Sample]:
    """Return what was drawn, with the judgements that are known."""
    judgements = {sample.finding: (sample.is_right, sample.why) for sample in known}
    return sorted(
        msgspec.structs.replace(sample, is_right=is_right, why=why)
        for sample in drawn
        for is_right, why in [judgements.get(sample.finding, (None, ""))]
    )


def read() -> list[Sample]:
    """Read the kept samples."""
    return msgspec.json.Decoder(Sample).decode_lines(FILE.read_bytes()) if FILE.exists() else []


def write(samples: Iterable[Sample]) -> None:
    """Keep samples, one a line."""
    FILE.write_bytes(msgspec.json.Encoder().encode_lines(samples))


def precision(samples: Iterable[Sample]) -> float:
    """Return the part of judged samples that is right; 1 of none."""
    verdicts = [sample.is_right for sample in samples if sample.is_right is not None]
    return sum(verdicts) / len(verdicts) if verdicts else 1.0


def page(samples: Sequence[Sample]) -> str:
    """Return docs/precision.md."""
    by_rule = {rule.code: [sample for sample in samples if sample.rule == rule.code] for rule in ALL}
    packages = ", ".join(sorted({sample.package.replace("==", " ") for sample in samples}))
    rows = "\n".join(
        f"| [{rule.code}](rules/{rule.code}.md) | {rule.name} | {'no' if rule.is_opt_in else 'yes'} "
        f"| {len(by_rule[rule.code])} | {len({each.package for each in by_rule[rule.code]})} "
        f"| {sum(each.is_right is True for each in by_rule[rule.code])} | {_percent(by_rule[rule.code])} |"
        for rule in ALL
    )
    return _PAGE.format(packages=packages, rows=rows, most=_PER_RULE, least=f"{LEAST:.0%}")


def _percent(samples: Sequence[Sample]) -> str:
    return f"{precision(samples):.0%}" if samples else "not seen"


_PAGE = """# How often a finding is right and useful

`nox -s precision` downloads the source distributions of public packages, audits them by every rule, draws at most {most} findings
of each rule by a seed, of each package in turn, and counts what was judged of them. A finding is *right* if what it says is true of
the code, and a maintainer who reads it would change something, or suppress it for a reason that the source does not show. Each
sample, with its place, its lines and why it was judged so, is a line of `tests/precision/samples.jsonl`.

A rule with a precision below {least} is off by default, and a test says so. *Not seen* are rules of which these packages have no
finding, as no public package declares environments of ours: nothing is known of their precision here.

| rule | name | on by default | judged | packages | right | precision |
|---|---|---|--:|--:|--:|--:|
{rows}

Judged are findings of {packages}; the other packages of the session have none. A sample that a later version no longer reports is
followed by one that was not drawn before; a judgement stays as long as the finding does. The rules were sharpened on these packages:
others may show less. In ipython 9.18.1, which the session leaves out, EM308 has three findings, of which two are tests that are trivial
on purpose: with them it is right in 10 of 12, so it is off by default. EM103 (0 of 2 right, 0 of 9 earlier) was taken out: what overrides a scope means it. EM302 finds forms of tokens, and all
that these packages have are made up; their lines are not kept.
"""
