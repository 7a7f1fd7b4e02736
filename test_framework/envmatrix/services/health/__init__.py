"""Health: is an environment fit to be tested, and if it is not, which one thing is wrong?

`look` starts or connects to environments and asks each service once; `judge` says what that means and asks nothing;
`changes` says what has changed by several looks.
"""

from envmatrix.services.health.changes import Change, Changes
from envmatrix.services.health.judge import Look, judge
from envmatrix.services.health.look import looking_at
from envmatrix.services.health.status import Check, EnvironmentHealth, HealthStatus, ServiceHealth, worst

__all__ = [
    "Change",
    "Changes",
    "Check",
    "EnvironmentHealth",
    "HealthStatus",
    "Look",
    "ServiceHealth",
    "judge",
    "looking_at",
    "worst",
]
