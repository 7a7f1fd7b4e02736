"""Health: is an environment fit to be tested, and if it is not, which one thing is wrong?

`look` starts or connects to environments and asks each service once; `judge` says what that means and asks nothing.
"""

from envmatrix.services.health.judge import Look, judge
from envmatrix.services.health.look import look_at
from envmatrix.services.health.status import Check, EnvironmentHealth, HealthStatus, ServiceHealth, worst

__all__ = ["Check", "EnvironmentHealth", "HealthStatus", "Look", "ServiceHealth", "judge", "look_at", "worst"]
