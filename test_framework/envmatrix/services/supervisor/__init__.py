"""The supervisor: one process per run that owns every service's process, and outlives whoever asked for them.

Its owner is the test runner's first process. When that ends in any way, the socket between them breaks, and the
supervisor stops everything and removes the run's directory.
"""

from envmatrix.services.supervisor.client import Owner, SupervisorClient
from envmatrix.services.supervisor.relay import Relay, RelayedClient

__all__ = ["Owner", "Relay", "RelayedClient", "SupervisorClient"]
