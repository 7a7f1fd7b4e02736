"""Why a test did not pass: the rules, as data in one ordered table. The first that matches decides.

What is certain comes first: a fixture that is not there, a server that is somebody else, a service that is down. What
remains when everything answers is the product's or the test's. Where two facts contradict each other the cause is
`undetermined`, and the line holds both: wrong with confidence is worse than undecided.
"""

from envmatrix.causes.connections import was_opened
from envmatrix.causes.facts import Breaker, Facts, ProductCrash, Promise, chain_of
from envmatrix.causes.rules import HARNESS_RULES, RULES, Rule, decide, is_about_connections, remedy, rule_named

__all__ = [
    "HARNESS_RULES",
    "RULES",
    "Breaker",
    "Facts",
    "ProductCrash",
    "Promise",
    "Rule",
    "chain_of",
    "decide",
    "is_about_connections",
    "remedy",
    "rule_named",
    "was_opened",
]
