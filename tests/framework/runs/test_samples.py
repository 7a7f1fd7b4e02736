"""Samples are written, read, put into series, and held against the limits of the declaration."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from envmatrix.environments import ServiceSpec, Source
from envmatrix.runs.directory import RunDir
from envmatrix.runs.events import Attempt, Sample
from envmatrix.runs.file import RunWriter, read_run, read_samples
from envmatrix.runs.interval import interval
from envmatrix.runs.limits import crossed
from envmatrix.runs.merge import merge
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.samples import Metric, latency_series, percentile, samples_during, series_of
from tests.framework.run_files import footer, header

MIB = 1 << 20


def rss(at: float, mib: float) -> Sample:
    """A look at the backend's memory."""
    return Sample(at, 1e9 + at, {"backend": {"rss": mib * MIB}})


def attempt(test: str, began: float, duration: float, **requests: tuple[float, ...]) -> Attempt:
    """A test that began then; its requests by service."""
    routes = {f"{service} GET /": times for service, times in requests.items()}
    return Attempt(test, Outcome.PASSED, duration, began=began, requests=routes)


def service(**limits: object) -> dict[str, ServiceSpec]:
    """A backend with limits."""
    values = {"name": "backend", "kind": "http", "source": Source.PROCESS, "command": ("x",), **limits}
    return {"backend": ServiceSpec.model_validate(values)}


def write(path: Path) -> None:
    """Write a run with a sample between its two tests."""
    writer = RunWriter(path)
    events = (rss(1, 10), attempt("a", 0.5, 1), rss(2, 20), replace(rss(3, 1), used={"x": {"furlongs": 1.0}}))
    for event in (header(planned=["a"]), *events, footer()):
        writer.write(event)
    writer.close()


def test_samples_stand_between_the_tests_and_are_read_apart(tmp_path: Path) -> None:
    """Who reads a run pays nothing for them; a metric of another version has no series."""
    write(tmp_path / "local.jsonl")
    run = read_run(tmp_path / "local.jsonl")
    assert run.complete
    assert run.findings == ()
    samples = read_samples(tmp_path / "local.jsonl")
    assert [sample.at for sample in samples] == [1, 2, 3]
    (series,) = series_of(samples)
    assert (series.of, series.metric, series.highest, series.mean) == ("backend", Metric.RSS, 20 * MIB, 15 * MIB)


def test_a_merge_leaves_the_samples_to_the_shards(tmp_path: Path) -> None:
    """Each shard counts from its own start: side by side they would be one series that goes to and fro."""
    write(tmp_path / "local.jsonl")
    merged = merge([tmp_path / "local.jsonl"], lambda labels: RunDir.at(tmp_path / "merged", labels))
    assert read_samples(merged.run_file("local")) == []
    (cell,) = read_run(merged.run_file("local")).cells.values()
    assert cell.attempts[0].began == 0.5


def test_a_test_gets_what_was_seen_while_it_ran_and_right_after() -> None:
    """The first look after it too, since a short test has none of its own; a test of another run has none."""
    samples = [rss(second, second) for second in range(1, 9)]
    assert [each.at for each in samples_during(samples, [attempt("a", 2.5, 2)])] == [3, 4, 5]
    assert [each.at for each in samples_during(samples, [attempt("a", 2.1, 0.1)])] == [3]
    assert samples_during(samples, [Attempt("a", Outcome.PASSED, 4.0)]) == []


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    """The nearest rank."""
    assert percentile(range(1, 101), share) == value
    assert percentile([7.0], share) == 7.0


def test_latencies_over_time_are_those_of_each_test() -> None:
    """At its end; services apart."""
    attempts = [attempt("b", 5, 1, backend=(9.0,)), attempt("a", 1, 1, backend=(1.0, 3.0), auth=(2.0,))]
    assert {(each.of, *each.points) for each in latency_series(attempts)} == {
        ("backend", (2.0, 3.0), (6.0, 9.0)),
        ("auth", (2.0, 2.0)),
    }


def test_a_crossed_limit_names_the_tests_that_ran_then() -> None:
    """Those between the last look that was below and the first that was above, not those before and after."""
    attempts = [attempt(name, began, 0.9) for name, began in (("a", 0.05), ("b", 1.05), ("c", 2.05), ("d", 3.05))]
    samples = [rss(1, 10), rss(2, 30), rss(3, 60), rss(4, 80)]
    (finding,) = crossed(service(max_rss="50MiB"), samples, attempts)
    assert finding.rule == "L406"
    assert finding.message == "backend: rss 80.0 MiB, above max_rss 50.0 MiB; first after 3.0 s"
    assert finding.tests == ("c",)


def test_a_limit_that_holds_is_no_finding() -> None:
    """Nor is one of what was never seen, and a service without limits."""
    attempts = [attempt("a", 0.1, 1, backend=(10.0,) * 20)]
    assert list(crossed(service(max_rss="50MiB", p95_ms=10), [rss(1, 50)], attempts)) == []
    assert list(crossed(service(max_rss="50MiB", p95_ms=10), [], ())) == []
    assert list(crossed(service(), [rss(1, 5000)], [attempt("a", 0.1, 1, backend=(9999.0,))])) == []


def test_requests_above_the_limit_name_the_slowest_tests() -> None:
    """95 of 100 of all requests count; the tests are those that are above it themselves, the slowest first."""
    fast = attempt("fast", 1, 1, backend=(1.0,) * 90)
    slow, slower = attempt("slow", 2, 1, backend=(50.0,) * 5), attempt("slower", 3, 1, backend=(80.0,) * 5)
    (finding,) = crossed(service(p95_ms=20), (), [fast, slow, slower])
    assert finding.message == "backend: 95 of 100 requests within 50.0 ms, above p95_ms 20, of 100 requests"
    assert finding.tests == ("slower", "slow")
    assert list(crossed(service(p95_ms=20), (), [attempt("fast", 1, 1, backend=(1.0,) * 400), slow, slower])) == []


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1.0), ("0.5", 0.5), ("60s", 60.0)])
def test_an_interval_is_a_number_of_seconds(text: str, seconds: float) -> None:
    """With or without its unit."""
    assert interval(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1m", "0", "nan", "61", "-1s"])
def test_another_interval_is_refused_with_what_may_be(text: str) -> None:
    """One sentence."""
    with pytest.raises(ValueError, match=r"is no time from 0\.1s to 60s"):
        interval(text)
