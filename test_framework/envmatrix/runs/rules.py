"""The code of every rule that decides a cause or finds a breach: each has a page in `docs/rules/`.

A code's letter is the cause that it decides. Run files of another version may hold codes that are not here.
"""

from __future__ import annotations

import enum

from envmatrix.runs.outcomes import Cause


class RuleCode(enum.StrEnum):
    """What a rule is called in run files, reports and docs."""

    FIXTURE_NOT_FOUND = "C101"
    CONTRACT_BROKEN = "C102"
    CONFORMANCE_FAILED = "C103"
    UNKNOWN_CAPABILITY = "C104"
    NOT_JSON = "C105"
    TOKEN_REFUSED = "C106"  # noqa: S105  a code
    USERS_NOT_MADE = "C107"
    ACCESS_REFUSED = "C108"
    FIXTURE_UNUSABLE = "C109"
    FIELD_MISSING = "C110"
    FIELD_TYPE = "C111"
    FIELD_UNTRUE = "C112"
    URL_WRONG = "C113"
    URL_ELSEWHERE = "C114"
    FIXTURE_SKIPS = "C115"
    SERVICE_DOWN = "I201"
    SERVICE_FAILED = "I202"
    WRONG_SERVER = "I203"
    WORK_UNDONE = "I204"
    CUT_SHORT = "I205"
    RATE_LIMITED = "I206"
    SERVICE_FLAPPING = "I207"
    WORKER_CRASHED = "H301"
    HARNESS_FAILED = "H302"
    NEVER_ENDED = "H303"
    COLLECTION_FAILED = "H304"
    DEADLINE_PASSED = "H305"
    BODY_NOT_RUN = "H306"
    EVIDENCE_LOST = "H307"
    FAILED_ON_HEALTHY = "L401"
    LEFT_BEHIND = "L402"
    SERVER_REFUSED = "L404"
    ASKED_ELSEWHERE = "L405"
    VACUOUS = "L407"
    NOT_SURVIVED = "L408"
    PRODUCT_CRASHED = "L403"
    ACCESS_CHANGED = "L409"
    LIMIT_CROSSED = "L406"
    CONNECTION_LOST = "U501"
    GATEWAY_SPOKE = "U502"
    DECLARED_AND_DOWN = "T601"
    ABSENT_AND_UP = "T602"
    NEVER_EXERCISED = "T603"
    FAILED_ALONE = "T604"
    CONTRADICTED = "T605"


_CAUSES = {cause.value[0].upper(): cause for cause in Cause}


def cause_of(code: str) -> Cause | None:
    """Return the cause that a rule of this code decides; `None` for a code of another kind."""
    return _CAUSES.get(code[:1])
