"""Report environments that are kept running: their services, what became of each, and its log where it is not up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envmatrix.masking import MASKER
from envmatrix.report import documents
from envmatrix.report.text import inert, inert_lines, plural
from envmatrix.services.processes.process import explain_exit
from envmatrix.services.supervisor.service_state import ServiceState

SCHEMA = 1


@dataclass(frozen=True)
class KeptStatus:
    """A kept environment as it is now."""

    environment: str
    supervisor: int | None
    """The id of its process; None where it has ended."""
    commit: str
    stale: str
    """Why it is not what would be started now; empty where it is."""
    states: Mapping[str, ServiceState]

    @property
    def is_well(self) -> bool:
        """Return whether everything is up, and as it would be started now."""
        return not self.stale and bool(self.states) and all(state.is_up for state in self.states.values())


def as_text(status: KeptStatus) -> str:
    """Return the environment in a line, and each of its services in another."""
    running = f"supervisor {status.supervisor}" if status.supervisor else "supervisor ended"
    lines = [f"{status.environment}: {running}, commit {status.commit[:7] or 'unknown'}"]
    lines += [f"  stale: {inert(status.stale)}"] if status.stale else []
    width = max(map(len, status.states), default=0)
    return "".join(f"{line}\n" for line in lines) + "".join(
        service_text(state, width) for state in status.states.values()
    )


def service_text(state: ServiceState, width: int = 0) -> str:
    """Return a service in a line, and below it the end of its log where it is not up, or was not."""
    head = f"  {inert(state.service):{width}}  {state.status:8}  {inert(_about(state))}".rstrip()
    tail = state.log_tail or (state.crashes[-1].log_tail if state.crashes else "")
    return "".join(f"{line}\n" for line in (head, *(f"      {line}" for line in inert_lines(tail).splitlines())))


def as_json(statuses: list[KeptStatus]) -> str:
    """Return everything as one document."""
    environments = {each.environment: _plain(each) for each in statuses}
    return documents.as_json({"schema": SCHEMA, "environments": environments})


def _plain(status: KeptStatus) -> dict[str, Any]:
    services = {
        name: {"url": _url(state)} | state.model_dump(mode="json", exclude={"service", "endpoint"})
        for name, state in status.states.items()
    }
    head = {"supervisor": status.supervisor, "commit": status.commit, "stale": status.stale}
    return {**head, "is_well": status.is_well, "services": services}


def _about(state: ServiceState) -> str:
    """Return the address of a service, and why it is not up, or how often it was not."""
    crashes = len(state.crashes)
    last = f"crashed {plural(crashes, 'time')}, last: {explain_exit(state.crashes[-1].exit_code)}" if crashes else ""
    return "; ".join(filter(None, (_url(state), state.reason, last)))


def _url(state: ServiceState) -> str:
    return MASKER.mask(state.endpoint.url.get_secret_value()) if state.endpoint else ""
