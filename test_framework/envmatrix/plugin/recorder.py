"""Writes the run file: a header once the tests are known, a line per test, a footer at the end."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pytest
from msgspec.structs import replace

from envmatrix.exceptions import UsageError
from envmatrix.git import edited_since, full_commit, working_tree
from envmatrix.masking import MASKER
from envmatrix.plugin.body_digests import body_digests
from envmatrix.plugin.equal_nodeids import TestNames
from envmatrix.plugin.narrowed import narrowed
from envmatrix.plugin.note import is_subtest, note_of
from envmatrix.plugin.process import Process
from envmatrix.plugin.run_options import pytest_options, run_options
from envmatrix.plugin.suite_files import changed_files, suite_files
from envmatrix.plugin.tries import Try, not_run
from envmatrix.plugin.worker_output import WorkerOutput
from envmatrix.runs.events import Attempt, Attestation, Bodies, Evidence, FindingRecord, Footer, Header, Starts, Suite
from envmatrix.runs.file import RunWriter, digest
from envmatrix.runs.nodeid import distinct
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping
from envmatrix.runs.reused import versions
from envmatrix.runs.rules import RuleCode
from envmatrix.safety.unpatched import REAL, text_of

if TYPE_CHECKING:
    from envmatrix.plugin.sampling import Sampling
    from envmatrix.services.supervisor.service_state import ServiceState

_PATIENCE, _PATIENCE_AT_EARLY_END = 5.0, 0.5
"""Seconds that git gets at the end of a run; one that SIGTERM ends has few to lose."""

_EARLY_PHASES = ("setup", "call")
"""The phases after which a test goes on."""


class Recorder:
    """Records one run; only in the process that owns it, so there is one writer whatever the number of workers."""

    def __init__(self, config: pytest.Config, process: Process) -> None:
        """Create the file.

        Raises:
            UsageError: it exists already, or cannot be written.
        """
        self._process = process
        self._selection = process.selection
        self._root = config.rootpath
        environment = process.selection.environment
        self._settings = [environment.file, *environment.bases, process.selection.project.root / "pyproject.toml"]
        if config.inipath is not None:
            self._settings.append(config.inipath)
        self._files: dict[str, str] = {}
        """The files of the suite, as they were when the header was written."""
        self._planned: Sequence[str] = ()
        self._commits = {full_commit(self._root, "HEAD") or "unknown": None}
        """The commits that were seen checked out, in their order."""
        self._narrowed = narrowed(config, process.selection.project.root, process.selection.suites, environment.pytest)
        self._run_options = run_options(config, process.selection)
        self._pytest_options = pytest_options(config)
        self._started = REAL.clock()
        self._started_at = datetime.now(UTC)
        self._in_flight: dict[str, Try] = {}
        """The tests that have begun and not ended."""
        self._names = TestNames()
        self._each: tuple[object, ...] = ()
        """The specifications of the workers of `--dist=each`, of which each runs every test."""
        self._header_written = self._bodies_written = False
        self._findings: list[FindingRecord] = []
        self._closed = False
        self._attested: dict[str, Mapping[str, Ping]] = {}
        """The attestations as they were recorded last, by moment."""
        self._deselected = 0
        self._crashed_workers = 0
        self._unfinished: set[str] = set()
        """Planned tests without an end so far."""
        self.early_end = ""
        """Why the run ends before its end, or not in order, if it does."""
        self._raised = False
        self._sampling: Sampling | None = None
        if process.sample_every:
            from envmatrix.plugin.sampling import Sampling

            self._sampling = Sampling(process, self._started)
        run_file = process.selection.run_file
        if run_file is None:
            raise AssertionError("a recorder without a run file")
        try:
            self._writer = RunWriter(run_file)
        except OSError as error:
            raise UsageError(f"run file {run_file} cannot be written: {error.strerror}", "Name another one") from None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write the header, unless this is xdist's controller, which collects nothing itself."""
        if session.items or not session.config.pluginmanager.hasplugin("dsession"):
            self._header([item.nodeid for item in session.items])
            self._bodies(body_digests(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: Sequence[Any]) -> None:
        """Note the workers where each of them runs all tests."""
        if config.getoption("dist") == "each":
            self._each = tuple(specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:  # noqa: ARG002  the hook's
        """Write the header from what the first worker collected; xdist itself refuses workers that differ."""
        if not self._header_written:
            self._header(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that could not be collected: what it would have planned is unknown."""
        if report.failed:
            text = MASKER.mask(report.longreprtext).strip().splitlines()
            reason = text[-1].removeprefix("E ").strip() if text else "no reason given"
            message = f"{report.nodeid} could not be collected: {reason}"
            self._finding(FindingRecord(rule=RuleCode.COLLECTION_FAILED, message=message, place=report.nodeid))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the tests that were collected and left out; with xdist the workers report them."""
        self._deselected += len(items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note a test in flight: if the run ends under it, it differs from those that never began."""
        if test := self._names.begin(nodeid):
            self._in_flight[test] = self._try()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Follow one test through its phases; write its line after the last."""
        if attestation := note_of(report).attestation:
            self._attest("before", attestation, report.__dict__.get("worker_id", ""))
        test = self._names.of(report)
        if remark := note_of(report).remark:
            self._finding(FindingRecord(RuleCode.EVIDENCE_LOST, remark, tests=(test,)))
        current = self._in_flight.get(test)
        if current is None:
            current = self._in_flight[test] = self._try()
        elif report.when == "call" and current.called and not is_subtest(report):
            self._end(test, current)  # a plugin that tries again within one test reports each call
            current = self._in_flight[test] = self._try()
        current.add(report)
        if report.when == "teardown":
            self._end(test, current)
        elif report.when not in _EARLY_PHASES:  # xdist's "???": the worker is gone, no other phase will follow
            del self._in_flight[test]
            self._unfinished.discard(test)
            self._writer.write(_crashed(test, report, current.duration))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """End a test of which a plugin's own protocol reported no teardown."""
        test = self._names.current(nodeid)
        if current := self._in_flight.get(test):
            self._end(test, current)

    def _try(self) -> Try:
        return Try(REAL.clock() - self._started)

    def _end(self, test: str, current: Try) -> None:
        del self._in_flight[test]
        self._unfinished.discard(test)
        self._writer.write(current.attempt(test))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Record what a worker of xdist reports at its end; one that crashed reports nothing."""
        self._crashed_workers += error is not None
        output = WorkerOutput.of(node)
        self._deselected = max(self._deselected, output.deselected)
        self._bodies(output.body_digests)
        self._attest("after", output.attestation, getattr(getattr(node, "gateway", None), "id", ""))

    def _bodies(self, digests: Sequence[str]) -> None:
        """Record the digests of the tests' bodies; workers of xdist have collected the same tests in the same order."""
        if digests and self._header_written and not self._bodies_written:
            self._bodies_written = True
            self._writer.write(Bodies(digests=tuple(digests) * max(1, len(self._each))))

    def _attest(self, moment: Literal["before", "after"], pings: Mapping[str, Ping], worker: str) -> None:
        """Record an attestation; a second process that got the same answers adds nothing."""
        claims = {name: replace(ping, latency=0.0) for name, ping in pings.items()}
        if pings and self._header_written and claims != self._attested.get(moment):
            self._attested[moment] = claims
            self._writer.write(Attestation(moment=moment, worker=worker, services=dict(pings)))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that the run was stopped; xdist ends this way, too, and gives its reason."""
        self.early_end = self.early_end or MASKER.mask(text_of(excinfo.value)) or "interrupted"

    def pytest_internalerror(self, excrepr: object) -> None:
        """Note that pytest or a plugin failed."""
        lines = MASKER.mask(text_of(excrepr)).strip().splitlines()
        self.early_end = self.early_end or f"internal error: {lines[-1] if lines else 'unknown'}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the footer after all other plugins, whatever they raise."""
        try:
            result = yield
        except BaseException as error:
            self._note_error(session, error)
            raise
        finally:
            try:
                self._note_end(session)
            finally:
                self.finish(int(session.exitstatus))
        return result

    def _note_error(self, session: pytest.Session, error: BaseException) -> None:
        """Note what a plugin raised at the end of the session, and the exit code that pytest will have."""
        if isinstance(error, pytest.exit.Exception | SystemExit):
            code = error.code if isinstance(error, SystemExit) else error.returncode
            session.exitstatus = code if isinstance(code, int) else session.exitstatus
        elif session.exitstatus in {0, 5}:
            session.exitstatus = 1
        words = MASKER.mask(f"{type(error).__name__}: {text_of(error)}").partition("\n")[0]
        self.early_end = f"{self.early_end}; then {words}" if self.early_end else f"a plugin failed at the end: {words}"
        self._raised = True

    def _note_end(self, session: pytest.Session) -> None:
        if not self.early_end:
            self.early_end = MASKER.mask(str(session.shouldstop or session.shouldfail or ""))
        if not self.early_end and self._crashed_workers and (self._unfinished or not self._header_written):
            self.early_end = f"crashed workers: {self._crashed_workers}, and no other may be started"
        if not self.early_end and not session.config.pluginmanager.hasplugin("dsession"):
            self._attest("after", self._process.final_attestation(), "")
        if self._header_written and (fingerprint := self._process.fingerprint()):
            self._writer.write(fingerprint)
        states = self._process.service_states()
        if self._header_written and (starts := dict(self._starts(states))):
            self._writer.write(Starts(starts))
        for service, state in states.items():
            if number := len(state.crashes):
                times = "once" if number == 1 else f"{number} times"
                message = f"{service} crashed {times} and was started again"
                self._finding(FindingRecord(rule=RuleCode.SERVICE_DOWN, message=message))

    def _starts(self, states: Mapping[str, ServiceState]) -> Iterator[tuple[str, tuple[float, float]]]:
        """Yield the start of each service that came up during the run; a kept environment's were up before it."""
        for service, state in states.items():
            if state.is_up and state.began >= self._started:
                began = state.began - self._started
                yield service, (round(began, 6), round(began + state.start_seconds, 6))

    def finish(self, exit_code: int) -> None:
        """Write the footer and close the file; the second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if not self._header_written:
            self._header([])
        for test in self._in_flight:
            reason = f"was running when the run ended: {self.early_end or 'no reason given'}"
            self._writer.write(not_run(test, RuleCode.NEVER_ENDED, reason))
        for finding in self._sampling.end() if self._sampling else ():
            self._finding(finding)
        patience = _PATIENCE_AT_EARLY_END if self.early_end else _PATIENCE
        self._commits[full_commit(self._root, "HEAD", patience) or next(reversed(self._commits))] = None
        suite = changed_files(self._files, suite_files(self._root, self._planned, self._settings))
        changed = sorted({*suite, *edited_since(self._root, self._started_at.timestamp(), patience)})
        self._writer.write(
            Footer(
                ended_at=_text(datetime.now(UTC)),
                duration=REAL.clock() - self._started,
                exit_code=exit_code,
                reason=self.early_end,
                raised=self._raised,
                deselected=self._deselected,
                commits=tuple(self._commits) if len(self._commits) > 1 else (),
                changed=tuple(map(MASKER.mask, changed)),
            )
        )
        self._writer.close()

    def _header(self, planned: Sequence[str]) -> None:
        environment = self._selection.environment
        here = working_tree(self._root)
        self._commits[here.commit] = None
        self._planned = planned
        self._files = suite_files(self._root, planned, self._settings)
        sharding = self._process.sharding
        suite = distinct(sharding.suite) if sharding else ()
        names = [suite[place] for place in sharding.kept] if sharding else ()
        is_controller = self._process.config.pluginmanager.hasplugin("dsession")
        self._names = TestNames(planned, self._each, names=names, is_controller=is_controller)
        shown = self._names.planned
        self._header_written = True
        self._unfinished = set(shown)
        self._writer.write(
            Header(
                run_id=uuid.uuid4().hex,
                environment=environment.run_name,
                base=environment.name if environment.alias else "",
                label=environment.label,
                started_at=_text(self._started_at),
                commit=here.commit,
                commit_problem=MASKER.mask(here.problem),
                dirty=here.dirty,
                sources={name: spec.shown_source for name, spec in environment.services.items()},
                versions=versions(),
                planned=shown,
                planned_digest=digest(shown),
                shard=str(sharding.shard) if sharding else "",
                suite_size=len(suite),
                suite_digest=digest(suite) if sharding else "",
                run_options=self._run_options,
                pytest_options=self._pytest_options,
                narrowed=self._narrowed,
                directory=environment.pytest.directory or "",
                files={MASKER.mask(file): digest for file, digest in self._files.items()},
                cut_digest=sharding.cut_digest if sharding else "",
            )
        )
        if sharding:
            self._writer.write(Suite(tests=suite))
        for finding in self._findings:
            self._writer.write(finding)
        if self._sampling:
            self._sampling.start()

    def _finding(self, finding: FindingRecord) -> None:
        if finding in self._findings:
            return  # every xdist worker collects the same modules
        self._findings.append(finding)
        if self._header_written:
            self._writer.write(finding)


def _crashed(test: str, report: pytest.TestReport, duration: float) -> Attempt:
    evidence = note_of(report).evidence
    if evidence is None:
        summary = MASKER.mask(str(report.longrepr or "the worker ended while the test ran"))
        evidence = Evidence(RuleCode.WORKER_CRASHED, summary, phase="call")
    worker = getattr(getattr(getattr(report, "node", None), "gateway", None), "id", "")
    return Attempt(test, Outcome.FAILED, round(duration, 6), worker, cause=Cause.HARNESS, evidence=evidence)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
