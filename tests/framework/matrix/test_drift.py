"""How environments differ, and which results go with that."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import pytest

from envmatrix.exceptions import MissingExtraError
from envmatrix.matrix.drift import NONE, Difference, Drift, Side, compare_sides
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Fingerprint, Header
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Certificate, Ping, PingStatus

SCHEMA = {"column public.users.email": "text not null"}


def side(
    label: str,
    version: str = "PostgreSQL 18.4",
    *,
    schema: Mapping[str, str] | None = None,
    openapi: dict[str, object] | None = None,
    unread: dict[str, dict[str, str]] | None = None,
    status: PingStatus = PingStatus.UP,
    **outcomes: Outcome,
) -> Side:
    """An environment with a database and a backend."""
    services = {
        "database": {} if schema is None else {"schema": dict(schema)},
        "backend": {} if openapi is None else {"openapi": openapi},
    }
    pings = {"database": Ping(service="database", status=status, version=version)}
    sources = {"database": "remote", "backend": "absent" if openapi is None else "remote"}
    if openapi is not None:
        pings["backend"] = Ping(service="backend", status=PingStatus.UP)
    return Side(label, {"contract": "1.0.0"}, sources, pings, Fingerprint(services, unread or {}), outcomes)


def found(drift: Drift) -> list[Difference]:
    """All differences."""
    return [each for split in drift.splits for each in split.differences]


def test_a_result_that_goes_with_a_version_is_counted() -> None:
    """It passes on the four with 18, fails on the one with 15: one split, with the counts of each group."""
    columns = [side(name, test_a=Outcome.PASSED, test_b=Outcome.FAILED) for name in "pqrs"]
    old = side("old", "PostgreSQL 15.2", test_a=Outcome.FAILED, test_b=Outcome.FAILED)
    (split,) = compare_sides([*columns, old]).splits
    assert split.differences == (Difference("database", "version", ("PostgreSQL 18.4",) * 4 + ("PostgreSQL 15.2",)),)
    assert split.groups == ((0, 1, 2, 3), (4,))
    assert split.results == {"test_a": ((4, 0), (0, 1))}


def test_a_result_that_differs_within_a_group_goes_with_nothing() -> None:
    """One failure among those of the same version, and the version explains nothing."""
    columns = [side("p", test_a=Outcome.PASSED), side("q", test_a=Outcome.FAILED)]
    (split,) = compare_sides([*columns, side("old", "PostgreSQL 15.2", test_a=Outcome.FAILED)]).splits
    assert split.results == {}


def test_a_side_without_a_result_is_not_counted() -> None:
    """A skip and a test that was not run say nothing for or against."""
    columns = [side("p", test_a=Outcome.FLAKY), side("q", test_a=Outcome.SKIPPED), side("r")]
    old = [side("old", "15", test_a=Outcome.FAILED), side("older", "15", test_a=Outcome.NOT_RUN)]
    (split,) = compare_sides([*columns, *old]).splits
    assert split.results == {"test_a": ((1, 0), (0, 1))}


def test_a_failure_that_says_nothing_about_the_product_goes_with_nothing() -> None:
    """A test that failed for an outage is no result of an environment's traits; one that failed on healthy services is."""
    header = Header(
        run_id="1", environment="p", label="p", started_at="", commit="", sources={}, versions={}, planned=()
    )
    cells = [Cell(cause.value, Outcome.FAILED, cause=cause) for cause in Cause]
    side_of_run = Side.of(Run(header, {cell.test: cell for cell in cells}, None), "p")
    assert side_of_run.outcomes == dict.fromkeys(("contract", "logic"), Outcome.FAILED)


def test_differences_that_results_go_with_come_first() -> None:
    """Each way in which the sides part is one entry, with all differences that part them so."""
    sides = [
        side("p", "18", schema=SCHEMA, test_a=Outcome.PASSED),
        side("q", "17", schema=SCHEMA, test_a=Outcome.PASSED),
        side("r", "17", schema={}, test_a=Outcome.FAILED),
    ]
    drift = compare_sides(sides)
    assert [(split.groups, list(split.results)) for split in drift.splits] == [
        (((0, 1), (2,)), ["test_a"]),
        (((0,), (1, 2)), []),
    ]
    assert found(drift)[0] == Difference(
        "database", "schema column public.users.email", ("text not null", "text not null", NONE)
    )
    assert drift.exit_code == 1


def test_what_protects_a_connection_differs() -> None:
    """The authority of its certificate and the protocol are traits of a service; another expiry is none."""
    tls = [Certificate(1.0, "ours", "TLSv1.3"), Certificate(2.0, "ours", "TLSv1.2"), None]
    pings = [Ping(service="backend", status=PingStatus.UP, certificate=each) for each in tls]
    sides = [Side("x", {}, {"backend": "remote"}, {"backend": ping}, Fingerprint({"backend": {}})) for ping in pings]
    assert found(compare_sides(sides)) == [
        Difference("backend", "certificate", ("ours", "ours", NONE)),
        Difference("backend", "tls", ("TLSv1.3", "TLSv1.2", NONE)),
    ]


def test_alike_sides_do_not_differ() -> None:
    """Neither does the environment's own name."""
    who = {"environment": "p", "commit": "abc"}
    sides = [side("p", schema=SCHEMA), side("q", schema=SCHEMA)]
    sides = [
        Side(each.label, each.versions, each.sources, {"database": ping}, each.fingerprint)
        for each in sides
        for ping in [Ping(service="database", status=PingStatus.UP, identity={**who, "environment": each.label})]
    ]
    drift = compare_sides(sides)
    assert (drift.splits, drift.unknown, drift.exit_code) == ((), (), 0)


def test_a_service_that_is_absent_differs_in_that_alone() -> None:
    """Its columns and paths are no differences of their own, and nothing about it is unknown."""
    drift = compare_sides([side("p", openapi={"paths": {}}), side("q")])
    assert found(drift) == [Difference("backend", "source", ("remote", "absent"))]
    assert drift.unknown == ()


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (side("q", unread={"database": {"schema": "permission denied"}}), "q: schema of database: permission denied"),
        (side("q", status=PingStatus.DOWN, schema=SCHEMA), "q: version of database: not used there, or not up"),
        (side("q"), "q: schema of database: not used there, or not up"),
        (Side("q", {"contract": "1.0.0"}, {"database": "remote"}, side("").pings), "q: no fingerprint: "),
    ],
)
def test_what_one_side_does_not_tell_is_unknown(other: Side, reason: str) -> None:
    """It is not taken for the same, nor for a difference: exit code 3, with the reason."""
    drift = compare_sides([side("p", schema=SCHEMA), other])
    assert (found(drift), drift.exit_code) == ([], 3)
    assert drift.unknown[0].startswith(reason)


def test_what_no_side_tells_is_unknown_too() -> None:
    """Two servers that show nothing are not alike for that."""
    refusal = {"database": {"schema": "permission denied"}}
    drift = compare_sides([side("p", unread=refusal), side("q", unread=refusal)])
    assert (len(drift.unknown), drift.exit_code) == (2, 3)


def test_a_missing_run_is_unknown() -> None:
    """What is known to be missing is kept."""
    assert compare_sides([side("p")], ["q: left no run file"]).exit_code == 3


def test_documents_differ_place_by_place() -> None:
    """The order in a list is no difference; a place that one of three has otherwise is one row."""
    first = {"paths": {"/me": {"get": {"tags": ["a", "b"], "operationId": "me"}}}}
    other = {"paths": {"/me": {"get": {"tags": ["b", "a"], "operationId": "who"}}, "/new": {"get": {}}}}
    drift = compare_sides([side("p", openapi=first), side("q", openapi=other), side("r", openapi=first)])
    assert found(drift) == [
        Difference("backend", "openapi paths /me get operationId", ("me", "who", "me")),
        Difference("backend", "openapi paths /new", (NONE, '{"get": {}}', NONE)),
    ]


def test_what_is_in_a_part_that_a_document_lacks_is_not_there_either() -> None:
    """It has not the value of the first document, which two others differ from at different depths."""
    first, other = ({"paths": {"/a": {"get": {"id": name}}, "/b": {}}} for name in ("old", "new"))
    drift = compare_sides(
        [side("p", openapi=first), side("q", openapi=other), side("r", openapi={"paths": {"/b": {}}})]
    )
    assert found(drift)[-1] == Difference("backend", "openapi paths /a get id", ("old", "new", NONE))


def test_a_document_that_one_side_does_not_serve_is_one_difference() -> None:
    """Not one for each of its places."""
    drift = compare_sides([side("p", openapi={"paths": {}, "info": {}}), side("q", openapi={})])
    assert found(drift) == [Difference("backend", "openapi", ("served", NONE))]


def test_without_the_extra_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where documents differ: equal ones need no comparison."""
    monkeypatch.setitem(sys.modules, "deepdiff", None)
    assert compare_sides([side("p", openapi={"a": 1}), side("q", openapi={"a": 1})]).exit_code == 0
    with pytest.raises(MissingExtraError, match=r"envmatrix\[drift\]"):
        compare_sides([side("p", openapi={"a": 1}), side("q", openapi={"a": 2})])
