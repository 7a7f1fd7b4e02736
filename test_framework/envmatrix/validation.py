"""Three-way truth: what a declaration promises, what a look saw, and what tests exercised, capability by capability.

A run file tells the last two: its attestations hold what each service said before and after the suite, its attempts what
each test exercised. Pure: nothing is asked or started here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from envmatrix.environments import Environment
from envmatrix.environments.edit import Change
from envmatrix.environments.toml_file import TomlFile
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.runs.rules import RuleCode

TRUTH_RULES = {
    RuleCode.DECLARED_AND_DOWN: "declared and down: a required service does not answer, or answers as somebody else",
    RuleCode.ABSENT_AND_UP: "declared absent and up: a coverage gap, since every test that requires it is skipped",
    RuleCode.NEVER_EXERCISED: "available and never exercised: a remark, since nobody would notice if it broke",
    RuleCode.FAILED_ALONE: "exercised by failed tests alone: what it promises was tried and did not hold",
    RuleCode.CONTRADICTED: "contradicted by the target: a service that is up says otherwise about another one than our look at that",
}
"""Every code that a comparison of declared, observed and exercised can find, with its meaning."""

_KINDS = {
    "auth": "http",
    "backend": "http",
    "clickhouse": "clickhouse",
    "database": "postgres",
    "llm": "openai",
    "redis": "redis",
}
"""Services that tests require by these names: a dependency of such a name is one even where nobody declares it."""


class Answer(enum.StrEnum):
    """Is what the declaration says true?"""

    TRUE = "true"
    """Nothing stands against it; there may be remarks."""
    UNTRUE = "untrue"
    """Something is there that it denies, or what it promises does not hold."""
    UNKNOWN = "unknown"
    """An outage, or a service that nobody looked at, hides the answer."""

    @property
    def exit_code(self) -> int:
        """Return what the command line ends with."""
        return {Answer.TRUE: 0, Answer.UNTRUE: 1, Answer.UNKNOWN: 3}[self]


class Declared(enum.StrEnum):
    """What the declaration says of a capability."""

    REQUIRED = "required"
    """It must be there."""
    OPTIONAL = "optional"
    """It may be there."""
    ABSENT = "absent"
    """The environment has none."""
    UNDECLARED = "undeclared"
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability, three ways."""

    name: str
    service: str
    """What provides it: itself, where it is a service."""
    declared: Declared
    source: str
    """Of its service: `embedded`, `remote`; empty where that is not declared."""
    observed: str
    """`up`, `degraded`, `down`, `absent`; empty where nobody looked. For what is no service: its service."""
    detail: str = ""
    """What the look said: why it is not up, or what it is."""
    said_by: tuple[str, ...] = ()
    """Services that say of themselves that they lean on it, and that it is up."""
    passed: tuple[str, ...] = ()
    """Tests that exercised it and passed."""
    failed: tuple[str, ...] = ()
    """Tests that exercised it and failed."""

    @property
    def is_service(self) -> bool:
        """Return whether it is a service itself, rather than something that one provides."""
        return self.name == self.service

    @property
    def is_promised(self) -> bool:
        """Return whether the declaration says that it is there, or may be."""
        return self.declared in {Declared.REQUIRED, Declared.OPTIONAL}

    @property
    def is_up(self) -> bool:
        """Return whether a look saw it up."""
        return self.observed == "up"


@dataclass(frozen=True, slots=True)
class Finding:
    """Where the three differ."""

    rule: str
    capability: str
    message: str
    """What is so, in one line."""
    hint: str
    """What to do about it."""
    calls_for: Answer
    """The answer that this finding alone would give; a mere remark calls for `true`."""
    file: Path
    line: int = 0
    """Of the declaration, 1-based; 0 where that is not known."""
    change: Change | None = None
    """What to write there, where we know that it would be true."""


@dataclass(frozen=True)
class Truth:
    """What one run tells about one declaration."""

    environment: str
    label: str
    """`staging (twin)`: what was looked at."""
    capabilities: tuple[Capability, ...]
    findings: tuple[Finding, ...]
    """Those that decide come first."""

    @classmethod
    def of(cls, run: Run, environment: Environment, declaration: TomlFile | None = None) -> Truth:
        """Compare a run with the declaration that it was made by; findings have lines where the file's text is given."""
        comparison = _Comparison(run, environment, declaration or TomlFile(environment.file, {}, ""))
        findings = sorted(comparison.findings(), key=lambda found: (_SEVERITY.index(found.calls_for), found.rule))
        return cls(environment.name, run.header.label, comparison.capabilities, tuple(findings))

    @property
    def answer(self) -> Answer:
        """Return whether the declaration is true; a required service that nobody looked at leaves it unknown."""
        unseen = any(each.declared is Declared.REQUIRED and not each.observed for each in self.capabilities)
        answers = {found.calls_for for found in self.findings} | {Answer.UNKNOWN if unseen else Answer.TRUE}
        return next(answer for answer in _SEVERITY if answer in answers)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return what to write into the declaration."""
        return tuple(found.change for found in self.findings if found.change is not None)

    def about(self, capability: str) -> tuple[Finding, ...]:
        """Return the findings on one capability."""
        return tuple(found for found in self.findings if found.capability == capability)


_SEVERITY = (Answer.UNTRUE, Answer.UNKNOWN, Answer.TRUE)


class _Comparison:
    def __init__(self, run: Run, environment: Environment, file: TomlFile) -> None:
        self._run = run
        self._environment = environment
        self._file = file

    @cached_property
    def _seen(self) -> Mapping[str, Ping]:
        """Return the look at each service that says most: the first that did not see it up, else the last."""
        seen: dict[str, Ping] = {}
        for attestation in self._run.attestations:
            for service, ping in attestation.services.items():
                if service not in seen or seen[service].status in {PingStatus.UP, PingStatus.ABSENT}:
                    seen[service] = ping
        return seen

    @cached_property
    def _said(self) -> Mapping[str, Mapping[str, str]]:
        """Return what is said about each service by others: name → who says so → `up`, `down`, `absent`, or another word."""
        said: dict[str, dict[str, str]] = {}
        for attestation in self._run.attestations:
            for speaker, ping in attestation.services.items():
                for name, state in ping.dependencies.items():
                    service = self._environment.providers.get(name, name)
                    if service != speaker:
                        said.setdefault(service, {})[speaker] = state
        return said

    def _sayers(self, service: str, state: str) -> tuple[str, ...]:
        return tuple(speaker for speaker, said in self._said.get(service, {}).items() if said == state)

    @cached_property
    def capabilities(self) -> tuple[Capability, ...]:
        """Return everything that is declared, and what is not declared and yet there."""
        undeclared = [name for name in _KINDS if name not in self._environment.providers and self._sayers(name, "up")]
        providers = {**self._environment.providers, **{name: name for name in undeclared}}
        return tuple(self._capability(name, service) for name, service in providers.items())

    def _capability(self, name: str, service: str) -> Capability:
        spec = self._environment.services.get(service)
        ping = self._seen.get(service)
        exercised = [cell for cell in self._run.cells.values() if _exercises(cell, name)]
        declared = Declared.UNDECLARED
        if spec is not None and spec.source.value == "absent":
            declared = Declared.ABSENT
        elif spec is not None:
            declared = Declared.REQUIRED if spec.required else Declared.OPTIONAL
        return Capability(
            name=name,
            service=service,
            declared=declared,
            source=spec.source.value if spec else "",
            observed=ping.status.value if ping else "",
            detail=ping.detail or ping.version if ping else "",
            said_by=self._sayers(service, "up"),
            passed=tuple(cell.test for cell in exercised if cell.outcome.reached_end),
            failed=tuple(cell.test for cell in exercised if cell.outcome.broke),
        )

    def findings(self) -> Iterator[Finding]:
        """Yield what does not agree."""
        for each in self.capabilities:
            if each.is_service and each.is_promised:
                yield from self._down(each)
                yield from self._contradicted(each)
            elif each.is_service:
                yield from self._gap(each)
            if each.is_promised and each.is_up and not each.passed:
                yield from self._failed(each) if each.failed else self._never_exercised(each)

    def _down(self, service: Capability) -> Iterator[Finding]:
        if service.declared is Declared.REQUIRED and service.observed and not service.is_up:
            yield self._finding(
                RuleCode.DECLARED_AND_DOWN,
                service,
                f"{service.name} is declared {service.source} and required, and is {_state(service)}",
                hint="Mend it, or where the declaration looks for it; if tests can do without, write required = false",
                calls_for=Answer.UNKNOWN,
            )

    def _gap(self, service: Capability) -> Iterator[Finding]:
        what = f"{service.name} is {'declared absent' if service.declared is Declared.ABSENT else 'not declared'}"
        if service.is_up:
            yield self._finding(
                RuleCode.ABSENT_AND_UP,
                service,
                f"{what}, and answers at its url: {service.detail or 'it is up'}",
                hint="Declare it remote",
                calls_for=Answer.UNTRUE,
                change=Change(service.name, {"source": "remote"}),
            )
        elif service.said_by:
            change, variable = self._remote(service.name)
            from_here = f"; its url does not answer from here: {service.detail}" if service.observed == "down" else ""
            yield self._finding(
                RuleCode.ABSENT_AND_UP,
                service,
                f"{what}, and {_names(service.said_by)} that it is up{from_here}",
                hint=f"Declare it remote, and set {variable} to where it is" if variable else "Declare it remote",
                calls_for=Answer.UNTRUE,
                change=change,
            )

    def _remote(self, name: str) -> tuple[Change, str]:
        """Return what makes a service remote that only others see, and the variable that must then say where it is."""
        spec = self._environment.services.get(name)
        values: dict[str, str | bool] = {"source": "remote"} if spec else {"kind": _KINDS[name], "source": "remote"}
        table = self._file.data.get("services", {}).get(name, {})
        written = table.get("url") or (spec.url.get_secret_value() if spec and spec.url else "")
        variable = _variable(self._environment.name, name)
        if not written:
            values["url"] = f"${{{variable}:-}}"
        else:
            named = re.match(r"\$\{(\w+)", written)
            variable = named[1] if named else ""
        if spec is None or spec.required:  # as it is by default
            values["required"] = False
        return Change(name, values), variable

    def _contradicted(self, service: Capability) -> Iterator[Finding]:
        if service.observed not in {"up", ""}:
            return
        ours = f"{service.name} is declared {service.source}" + (" and answers us" if service.is_up else "")
        if down := self._sayers(service.name, "down"):
            yield self._finding(
                RuleCode.CONTRADICTED,
                service,
                f"{ours}, and {_names(down)} that it is down",
                hint="Look at the way to it from there: its address, its password, the network between",
                calls_for=Answer.UNKNOWN,
            )
        elif (absent := self._sayers(service.name, "absent")) and not service.said_by:
            yield self._finding(
                RuleCode.CONTRADICTED,
                service,
                f"{ours}, and {_names(absent)} that there is none",
                hint="What was deployed does not use it: mend its configuration, or declare the service absent",
                calls_for=Answer.UNTRUE,
            )

    def _never_exercised(self, about: Capability) -> Iterator[Finding]:
        if self._run.complete:  # else a test that was cut off may have been the one
            yield self._finding(
                RuleCode.NEVER_EXERCISED,
                about,
                f"{about.name} is available, and no test exercised it",
                hint=f'Write one that does, marked @pytest.mark.requires("{about.name}")',
                calls_for=Answer.TRUE,
            )

    def _failed(self, about: Capability) -> Iterator[Finding]:
        cells = [self._run.cells[test] for test in about.failed]
        rules = ", ".join(sorted({cell.evidence.rule for cell in cells if cell.evidence})) or "expected to fail"
        tests = f"the {len(cells)} tests" if len(cells) > 1 else "the one test"
        untrue = any(cell.cause is not None and cell.cause.blames_product for cell in cells)
        yield self._finding(
            RuleCode.FAILED_ALONE,
            about,
            f"{about.name} is up, and {tests} that exercised it failed: {rules}",
            hint=f"Begin with {cells[0].test}",
            calls_for=Answer.UNTRUE if untrue else Answer.UNKNOWN,
        )

    def _finding(
        self,
        rule: str,
        about: Capability,
        message: str,
        *,
        hint: str,
        calls_for: Answer,
        change: Change | None = None,
    ) -> Finding:
        line = self._file.line_of(_keys(self._environment, about))
        return Finding(rule, about.name, message, hint, calls_for, self._file.path, line, change)


def _state(about: Capability) -> str:
    return f"{about.observed}: {about.detail}" if about.detail else about.observed


def _exercises(cell: Cell, capability: str) -> bool:
    return any(capability in attempt.capabilities for attempt in cell.attempts)


def _keys(environment: Environment, about: Capability) -> tuple[str, ...]:
    """Return where the declaration says what it says about a capability."""
    spec = environment.services.get(about.service)
    if about.is_service or spec is None:
        return ("services", about.service, "source")
    if about.name in spec.capabilities:
        return ("services", about.service, "capabilities")
    return ("users",) if about.name == "multi_user" else ("services", about.service, about.name)


def _names(services: Sequence[str]) -> str:
    return f"{' and '.join(services)} {'say' if len(services) > 1 else 'says'}"


def _variable(environment: str, service: str) -> str:
    """Return the variable that is to hold a service's URL: `STAGING_CLICKHOUSE_URL`."""
    name = re.sub(r"\W", "_", f"{environment}_{service}_url", flags=re.ASCII).upper()
    return f"_{name}" if name[0].isdigit() else name
