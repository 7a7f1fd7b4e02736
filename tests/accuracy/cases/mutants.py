"""Bugs planted in the reference system, and the tests of the shipped and of the product's suite that must fail for them."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import tomlkit

from environments.reference.backend import bugs
from envmatrix.conformance import claims
from envmatrix.environments.declaration import read_declaration
from tests.accuracy.case import Case, Truth
from tests.accuracy.declare import environment, table

BOUNDARY = "e2e.test_multi_user_concurrent_sessions::test_user_isolation_boundary_enforcement"
SAME_AGENT = "e2e.test_multi_user_concurrent_sessions::test_concurrent_users_same_agent"
SHARED = "e2e.test_multi_user_concurrent_sessions::test_shared_resource_handling"
EVENTS = "e2e.test_websocket_agent_events_suite"
LOOK_THE_SAME = f"{EVENTS}::test_a_thread_that_never_was_and_one_of_somebody_else_look_the_same"
LEAVING = "e2e.test_leaving::test_a_deletion_is_of_ones_own_data_and_of_all_of_it"
CLAIMS_BY_HTTP = (
    "canaries::test_http_claim_to_be_another_user_decides_nothing",
    "e2e.test_identity_claims::test_a_request_is_its_tokens_users",
)
CLAIMS_BY_SOCKET = (
    "canaries::test_websocket_claim_to_be_another_user_decides_nothing",
    "e2e.test_identity_claims::test_a_connection_is_its_tokens_users",
)
CONTEXT = "canaries::test_llm_context_is_its_users_own"

KILLED_BY = {
    # Another user's data is shown or changed
    "threads": ("canaries::test_http_canary_is_its_users_own", BOUNDARY),
    "get_thread": (BOUNDARY, LOOK_THE_SAME),
    "subscribe": (BOUNDARY, LOOK_THE_SAME),
    "continue": (BOUNDARY,),
    "existence": (LOOK_THE_SAME,),
    "state": (
        "canaries::test_http_canary_is_its_users_own",
        "e2e.test_redis_isolation::test_the_same_key_of_several_users_at_once",
    ),
    "costs": (SHARED,),
    "figures": (SAME_AGENT,),
    "events": ("canaries::test_websocket_canary_reaches_its_user_alone",),
    "context": (CONTEXT,),
    "answers": (CONTEXT,),
    "model_remembers_everybody": (CONTEXT, "e2e.test_llm_streaming::test_a_scripted_model_always_says_the_same"),
    # Who asks
    **{
        f"trusts_{place}": tuple(
            test
            for places, tests in ((claims.HTTP, CLAIMS_BY_HTTP), (claims.SOCKET, CLAIMS_BY_SOCKET))
            for test in tests
            if place in places
        )
        for place in bugs.CLAIMS
    },
    "anonymous": (
        "tokens::test_no_token_is_refused",
        "websocket::test_websocket_url_refuses_nobody",
        "e2e.test_auth_boundaries::test_every_path_of_the_api_asks_who_is_there[GET]",
    ),
    "sessions_never_end": (
        f"{EVENTS}::test_a_session_that_ends_ends_its_connections_work",
        "e2e.test_multi_user_concurrent_sessions::test_user_session_lifecycle",
    ),
    # Events are lost, doubled or misdirected
    "few_users": (
        "e2e.test_multi_user_concurrent_sessions::test_concurrent_users_different_agents",
        f"{EVENTS}::test_nothing_is_lost_or_mixed_up_between_users_and_connections",
    ),
    "many_users": (SAME_AGENT,),
    "event_doubled": (f"{EVENTS}::test_every_agent_tells_all_five_events[triage_agent]",),
    "event_late": (f"{EVENTS}::test_every_agent_tells_all_five_events[triage_agent]",),
    "event_without_zone": (f"{EVENTS}::test_timestamps_are_in_utc_and_never_go_back",),
    "one_at_a_time": (f"{EVENTS}::test_requests_of_one_connection_run_at_the_same_time",),
    # Data is lost, kept or wiped
    "delete_everybody": (LEAVING,),
    "delete_nothing": (LEAVING,),
    "delete_keeps_state": (LEAVING,),
    "state_expires": ("e2e.test_leaving::test_what_a_user_stores_does_not_expire",),
    "state_is_one_value": (SHARED,),
    "answer_lost": ("e2e.test_llm_streaming::test_an_agent_passes_the_models_words_on",),
    "history_reversed": ("e2e.test_golden_path::test_from_sign_up_to_logout",),
    "null_titles": ("e2e.test_database::test_the_backend_keeps_threads_in_postgresql",),
    # The model
    "model_claims_to_be_real": (
        "real_llm::test_is_real_is_what_the_server_says",
        "real_llm::test_provider_is_what_the_declaration_or_the_server_says",
    ),
    "model_is_mute": ("real_llm::test_client_completes_a_chat",),
}
"""Bug → the tests that must fail for it: MODULE::TEST, a module of the conformance suite where it is not of `e2e`."""

_ROOT = Path(__file__).parents[3]
_SOURCE = """
import pytest
from {module} import *

KILLER = "{test}"

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture(autouse=True)
def planted():
    injure.faults("planted", "{bug}")
    yield
    injure.faults("planted", "none")
"""
_ONE_TEST_OF_EACH_FILE = """
def pytest_addoption(parser):
    parser.addoption("--users", type=int, default=16)

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.name == item.module.KILLER]
"""
"""The files take over whole modules of the suites."""


def _declaration() -> str:
    """Return the declaration of `backend` with bugs in its backend and its model."""
    data = deepcopy(read_declaration(_ROOT / "environments/backend.toml").data)
    planted = [each for each in data["services"].values() if "ENVIRONMENT" in each.get("env", {})]
    assert len(planted) == 3
    for service in planted:
        service["env"] |= {"ENVIRONMENT": "planted", "PLANTED": "planted.faults"}
        if "identity" in service:
            service["identity"] |= {"environment": "planted"}
    return tomlkit.dumps(data)


def _case(bug: str, killer: str, truth: Truth) -> Case:
    module, _, test = killer.partition("::")
    name = f"tests.{module}" if module.startswith("e2e") else f"envmatrix.conformance.test_{module}"
    return Case(
        f"{bug}: {test}",
        f"the bug {bug!r}, which this test finds",
        truth,
        _SOURCE.format(module=name, test=test, bug=bug),
        environment=_declaration(),
        faults={"planted": "none"},
        conftest=_ONE_TEST_OF_EACH_FILE,
        arguments=("-panyio",),
        shared=f"planted: {truth}",
    )


_KILLERS = tuple(dict.fromkeys(killer for killers in KILLED_BY.values() for killer in killers))

CASES = (
    *(
        _case(bug, killer, Truth.LOGIC if killer.startswith("e2e") else Truth.CONTRACT)
        for bug, killers in KILLED_BY.items()
        for killer in killers
    ),
    *(_case("none", killer, Truth.PASSED) for killer in _KILLERS),
    Case(
        "model_claims_to_be_real: from the start",
        "a script that is declared as any model, and says that it is real",
        Truth.LOGIC,
        _SOURCE.format(
            module="tests.e2e.test_llm_streaming",
            test="test_a_real_model_does_not_answer_by_the_script",
            bug="model_claims_to_be_real",
        ),
        environment=environment(
            table(
                "llm",
                kind="openai",
                source="process",
                command=["{python}", "-m", "environments.reference.llm"],
                model="scripted-1",
                env={"ENVIRONMENT": "planted", "PLANTED": "planted.faults", "PORT": "{llm.port}"},
            ),
            users="",
        ),
        faults={"planted": "model_claims_to_be_real"},
        conftest=_ONE_TEST_OF_EACH_FILE,
        arguments=("-panyio",),
    ),
)
