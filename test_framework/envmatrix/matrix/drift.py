"""How environments differ, and which tests' results differ along with that: a correlation, which is no cause. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envmatrix.exceptions import MissingExtraError
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Fingerprint
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.ping import Ping, PingStatus

NONE = "none"
"""The value of what the others have and a side has not."""

_Place = tuple[str, ...]
"""The keys that lead to a part of a document."""

_ABSENT = "absent"
_ANSWERS = frozenset({PingStatus.UP, PingStatus.DEGRADED})
_NO_TRAITS = frozenset({"environment", "service", "version"})
"""Claims of an identity that differ between any two environments, or that the version has already."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the environments that are compared: as a run saw it, or as it is now."""

    label: str
    versions: Mapping[str, str]
    """Of the tests' own side: contract, Python, pytest."""
    sources: Mapping[str, str]
    """Service → where it comes from."""
    pings: Mapping[str, Ping]
    fingerprint: Fingerprint | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Test → how it ended, unless the failure says nothing about the product; nothing of an environment only looked at."""

    @classmethod
    def of(cls, run: Run, label: str) -> Side:
        """Return what a run knows of its environment."""
        outcomes = {
            cell.test: cell.outcome for cell in run.cells.values() if cell.cause is None or cell.cause.blames_product
        }
        return cls(label, run.header.versions, run.header.sources, run.pings, run.fingerprint, outcomes)

    def parts(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """Map each part that is known to its traits, name → value; a part is of a service, or of the tests' own side."""
        parts: dict[tuple[str, str], Mapping[str, Any]] = {("", ""): self.versions}
        for name, ping in self.pings.items():
            if ping.status in _ANSWERS:
                claims = {key: value for key, value in ping.identity.items() if key not in _NO_TRAITS}
                tls = (
                    {"certificate": ping.certificate.issuer, "tls": ping.certificate.protocol}
                    if ping.certificate
                    else {}
                )
                parts[name, ""] = {"version": ping.version, **tls, **claims}
        for name, known in (self.fingerprint.services if self.fingerprint else {}).items():
            parts |= {(name, part): traits for part, traits in known.items()}
        return parts

    def gaps(self, keys: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Yield why parts that another side knows, or ought to know, are not known of a service that there is."""
        there = [name for name, source in self.sources.items() if source != _ABSENT]
        unread = self.fingerprint.unread if self.fingerprint else {}
        known = self.parts()
        if there and self.fingerprint is None:
            yield f"{self.label}: no fingerprint: the run used no service, was killed, or is older than fingerprints"
        for service, part in keys:
            if service in there and (service, part) not in known and (self.fingerprint or not part):
                why = unread.get(service, {}).get(part, "not used there, or not up")
                yield f"{self.label}: {part or 'version'} of {service}: {why}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One trait that is not the same on all sides."""

    service: str
    """Empty for the tests' own side."""
    trait: str
    """`version`, `settings timezone`, `schema column public.users.email`, `openapi paths /me get`."""
    values: tuple[str | None, ...]
    """One for each side; `None` where it is unknown, or there is no such service."""

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Return the numbers of the sides, those with one value together."""
        alike: dict[str, list[int]] = {}
        for number, value in enumerate(self.values):
            if value is not None:
                alike.setdefault(value, []).append(number)
        return tuple(map(tuple, alike.values()))


@dataclass(frozen=True, slots=True)
class Split:
    """Differences that part the sides in one way, and the tests whose results part them in no other."""

    groups: tuple[tuple[int, ...], ...]
    """Numbers of the sides."""
    differences: tuple[Difference, ...]
    results: Mapping[str, tuple[tuple[int, int], ...]]
    """Test → for each group, on how many of its sides it passed and on how many it failed."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How environments differ."""

    sides: tuple[str, ...]
    """Their labels."""
    splits: tuple[Split, ...]
    """Those that some test's result goes with come first."""
    unknown: tuple[str, ...]
    """What could not be compared, and why, a line each."""

    @property
    def exit_code(self) -> int:
        """Return 1 for differences; 3 where there may be some; else 0."""
        return 1 if self.splits else 3 if self.unknown else 0


def compare_sides(sides: Sequence[Side], unknown: Sequence[str] = ()) -> Drift:
    """Compare environments; `unknown` is known to be so already.

    Raises:
        MissingExtraError: two documents differ, and what compares documents is not installed.
    """
    parts = [side.parts() for side in sides]
    keys = dict.fromkeys(key for known in parts for key in known)
    unread = [
        (name, part)
        for side in sides
        if side.fingerprint
        for name, why in side.fingerprint.unread.items()
        for part in why
    ]
    gaps = [gap for side in sides for gap in side.gaps(dict.fromkeys([*keys, *unread]))]
    alike: dict[tuple[tuple[int, ...], ...], list[Difference]] = {}
    for difference in _differences(sides, parts, keys):
        alike.setdefault(difference.groups, []).append(difference)
    tests = _apart(sides) if alike else []
    splits = [Split(groups, tuple(each), dict(_results(sides, groups, tests))) for groups, each in alike.items()]
    splits.sort(key=lambda split: not split.results)
    labels = tuple(side.label for side in sides)
    return Drift(labels, tuple(splits), (*unknown, *gaps))


def _differences(
    sides: Sequence[Side],
    parts: Sequence[Mapping[tuple[str, str], Mapping[str, Any]]],
    keys: Mapping[tuple[str, str], Any],
) -> Iterator[Difference]:
    services = dict.fromkeys(name for side in sides for name in side.sources)
    rows = [(name, "source", {n: side.sources.get(name, _ABSENT) for n, side in enumerate(sides)}) for name in services]
    for service, part in keys:
        known = {number: each[service, part] for number, each in enumerate(parts) if (service, part) in each}
        compare = _in_documents if part == "openapi" else _in_traits
        rows += [(service, f"{part} {name}".strip(), values) for name, values in compare(known)]
    for service, trait, values in rows:
        if len(set(values.values())) > 1:
            yield Difference(service, trait, tuple(values.get(number) for number in range(len(sides))))


def _in_traits(known: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[str, dict[int, str]]]:
    for name in dict.fromkeys(name for traits in known.values() for name in traits):
        yield name, {number: _text(traits[name]) if name in traits else NONE for number, traits in known.items()}


def _in_documents(known: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[str, dict[int, str]]]:
    """Yield each place where documents differ from the first."""
    (_, first), *others = known.items()
    before: dict[_Place, str] = {}
    after: dict[_Place, dict[int, str]] = {}
    for number, other in others:
        for place, old, new in _changes(first, other) if other != first else ():
            before[place] = old
            after.setdefault(place, {})[number] = new
    for place, changed in sorted(after.items()):
        above = [after[place[:length]] for length in range(len(place)) if place[:length] in after]
        unchanged = {number: NONE if any(number in each for each in above) else before[place] for number in known}
        yield " ".join(place), unchanged | changed


def _changes(first: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[_Place, str, str]]:
    if not first or not other:
        yield (), "served" if first else NONE, "served" if other else NONE
        return
    try:
        from deepdiff import DeepDiff
        from deepdiff.helper import NotPresent
    except ImportError:
        raise MissingExtraError("deepdiff", "drift") from None
    for levels in DeepDiff(first, other, ignore_order=True, view="tree").values():
        for level in levels:
            old, new = (NONE if isinstance(each, NotPresent) else _text(each) for each in (level.t1, level.t2))
            yield tuple(map(str, level.path(output_format="list"))), old, new


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _apart(sides: Sequence[Side]) -> list[str]:
    """Return the tests that pass on some side and fail on another: no other's results can part the sides."""
    failed = {test for side in sides for test, outcome in side.outcomes.items() if outcome is Outcome.FAILED}
    both = {
        test for test in failed if any(test in side.outcomes and side.outcomes[test].counts_as_passed for side in sides)
    }
    return list(dict.fromkeys(test for side in sides for test in side.outcomes if test in both))


def _results(
    sides: Sequence[Side], groups: Sequence[Sequence[int]], tests: Iterable[str]
) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """Yield the tests that pass on all sides of some groups and fail on all of others; a side without a result is left out."""
    for test in tests:
        counts = []
        for group in groups:
            outcomes = [sides[number].outcomes.get(test) for number in group]
            passed = sum(each is not None and each.counts_as_passed for each in outcomes)
            counts.append((passed, outcomes.count(Outcome.FAILED)))
        passing, failing = (any(count[which] for count in counts) for which in (0, 1))
        if passing and failing and not any(all(count) for count in counts):
            yield test, tuple(counts)
