"""The supervisor: one process per run that owns the processes of all services.

Its owner is the test runner's first process. When that ends in any way, the socket between them closes, and the
supervisor stops everything and removes the run's directory. The plugin comes in by the clients below.
"""

from envmatrix.services.supervisor.client import Owner, SupervisorClient
from envmatrix.services.supervisor.relay import Relay, RelayedClient

__all__ = ["Owner", "Relay", "RelayedClient", "SupervisorClient"]
