"""Compare what a declaration promises with what a run observed and exercised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envmatrix.environments import Environment
from envmatrix.environments.edit import ServiceEdit
from envmatrix.environments.toml_file import TomlFile
from envmatrix.runs.cells import Run
from envmatrix.runs.rules import RuleCode
from envmatrix.validation.capabilities import KINDS, Capability, Declared, Observations
from envmatrix.validation.findings import SEVERITY, ValidationFinding, Validity


@dataclass(frozen=True)
class Validation:
    """Declared, observed and exercised, compared for one environment."""

    environment: str
    label: str
    """The column that was observed: `staging (twin)`."""
    capabilities: tuple[Capability, ...]
    findings: tuple[ValidationFinding, ...]
    """The deciding ones come first."""

    @classmethod
    def of(cls, run: Run, environment: Environment, declaration: TomlFile | None = None) -> Validation:
        """Compare a run with the declaration that it was made by; findings have lines if the file's text is given."""
        observations = Observations(run, environment)
        comparison = _Comparison(observations, declaration or TomlFile(environment.file, {}, ""))
        findings = sorted(comparison.findings(), key=lambda each: (SEVERITY.index(each.calls_for), each.rule))
        return cls(environment.name, run.header.label, observations.capabilities, tuple(findings))

    @property
    def answer(self) -> Validity:
        """Return whether the declaration is true; a required service that was never pinged leaves it unknown."""
        unseen = any(each.declared is Declared.REQUIRED and not each.observed for each in self.capabilities)
        answers = {each.calls_for for each in self.findings} | {Validity.UNKNOWN if unseen else Validity.TRUE}
        return next(answer for answer in SEVERITY if answer in answers)

    @property
    def edits(self) -> tuple[ServiceEdit, ...]:
        """Return the edits that make the declaration true."""
        return tuple(each.edit for each in self.findings if each.edit is not None)

    def about(self, capability: str) -> tuple[ValidationFinding, ...]:
        """Return the findings on one capability."""
        return tuple(each for each in self.findings if each.capability == capability)


@dataclass(frozen=True, slots=True)
class _Comparison:
    observations: Observations
    file: TomlFile

    def findings(self) -> Iterator[ValidationFinding]:
        """Yield each difference."""
        for each in self.observations.capabilities:
            if each.is_service and each.is_promised:
                yield from self._down(each)
                yield from self._contradicted(each)
            elif each.is_service:
                yield from self._gap(each)
            if each.is_promised and each.is_up and not each.passed:
                yield from self._failed(each) if each.failed else self._never_exercised(each)

    def _down(self, service: Capability) -> Iterator[ValidationFinding]:
        if service.declared is Declared.REQUIRED and service.observed and not service.is_up:
            what = f"{service.name} is declared {service.source} and required, and is {_state(service)}"
            hint = "Mend it, or where the declaration looks for it; if tests can do without, write required = false"
            yield self._finding(RuleCode.DECLARED_AND_DOWN, service, Validity.UNKNOWN, what, hint=hint)

    def _gap(self, service: Capability) -> Iterator[ValidationFinding]:
        what = f"{service.name} is {'declared absent' if service.declared is Declared.ABSENT else 'not declared'}, and "
        hint = "Declare it remote"
        if service.is_up:
            edit = ServiceEdit(service.name, {"source": "remote"})
            what += f"answers at its url: {service.detail or 'it is up'}"
        elif service.said_by:
            edit, variable = self._remote(service.name)
            what += f"{_names(service.said_by)} that it is up"
            what += f"; its url does not answer from here: {service.detail}" if service.observed == "down" else ""
            hint += f", and set {variable} to where it is" if variable else ""
        else:
            return
        yield self._finding(RuleCode.ABSENT_AND_UP, service, Validity.UNTRUE, what, hint=hint, edit=edit)

    def _remote(self, name: str) -> tuple[ServiceEdit, str]:
        """Return the edit that declares a service remote that only others see, and the variable that must hold its URL."""
        spec = self.observations.environment.services.get(name)
        values: dict[str, str | bool] = {"source": "remote"} if spec else {"kind": KINDS[name], "source": "remote"}
        table = self.file.data.get("services", {}).get(name, {})
        written = table.get("url") or (spec.url.get_secret_value() if spec and spec.url else "")
        variable = _variable(self.observations.environment.name, name)
        if not written:
            values["url"] = f"${{{variable}:-}}"
        else:
            named = re.match(r"\$\{(\w+)", written)
            variable = named[1] if named else ""
        if spec is None or spec.required:  # as it is by default
            values["required"] = False
        return ServiceEdit(name, values), variable

    def _contradicted(self, service: Capability) -> Iterator[ValidationFinding]:
        if service.observed not in {"up", ""}:
            return
        ours = f"{service.name} is declared {service.source}" + (" and answers us" if service.is_up else "")
        if down := self.observations.speakers(service.name, "down"):
            what = f"{ours}, and {_names(down)} that it is down"
            hint = "Look at the way to it from there: its address, its password, the network between"
            yield self._finding(RuleCode.CONTRADICTED, service, Validity.UNKNOWN, what, hint=hint)
        elif (absent := self.observations.speakers(service.name, "absent")) and not service.said_by:
            what = f"{ours}, and {_names(absent)} that there is none"
            hint = "What was deployed does not use it: mend its configuration, or declare the service absent"
            yield self._finding(RuleCode.CONTRADICTED, service, Validity.UNTRUE, what, hint=hint)

    def _never_exercised(self, about: Capability) -> Iterator[ValidationFinding]:
        if self.observations.run.complete:  # else a test that was cut off may have been the one
            what = f"{about.name} is available, and no test exercised it"
            hint = f'Write one that does, marked @pytest.mark.requires("{about.name}")'
            yield self._finding(RuleCode.NEVER_EXERCISED, about, Validity.TRUE, what, hint=hint)

    def _failed(self, about: Capability) -> Iterator[ValidationFinding]:
        cells = [self.observations.run.cells[test] for test in about.failed]
        rules = ", ".join(sorted({cell.evidence.rule for cell in cells if cell.evidence})) or "expected to fail"
        tests = f"the {len(cells)} tests" if len(cells) > 1 else "the one test"
        untrue = any(cell.cause is not None and cell.cause.blames_product for cell in cells)
        what = f"{about.name} is up, and {tests} that exercised it failed: {rules}"
        answer = Validity.UNTRUE if untrue else Validity.UNKNOWN
        yield self._finding(RuleCode.FAILED_ALONE, about, answer, what, hint=f"Begin with {cells[0].test}")

    def _finding(
        self,
        rule: str,
        about: Capability,
        calls_for: Validity,
        what: str,
        *,
        hint: str,
        edit: ServiceEdit | None = None,
    ) -> ValidationFinding:
        file, line = self.file.place_of(_keys(self.observations.environment, about))
        return ValidationFinding(rule, about.name, what, hint, calls_for, file, line, edit)


def _state(about: Capability) -> str:
    return f"{about.observed}: {about.detail}" if about.detail else about.observed


def _keys(environment: Environment, about: Capability) -> tuple[str, ...]:
    """Return the key of the declaration that a finding about a capability points to."""
    spec = environment.services.get(about.service)
    if about.is_service or spec is None:
        return ("services", about.service, "source")
    if about.name in spec.capabilities:
        return ("services", about.service, "capabilities")
    return ("users",) if about.name == "multi_user" else ("services", about.service, about.name)


def _names(services: Sequence[str]) -> str:
    return f"{' and '.join(services)} {'say' if len(services) > 1 else 'says'}"


def _variable(environment: str, service: str) -> str:
    """Return the name of the variable for a service's URL: `STAGING_CLICKHOUSE_URL`."""
    name = re.sub(r"\W", "_", f"{environment}_{service}_url", flags=re.ASCII).upper()
    return f"_{name}" if name[0].isdigit() else name
