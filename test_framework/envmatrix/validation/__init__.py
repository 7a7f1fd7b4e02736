"""Is a declaration true? What it says, what a look saw and what tests exercised, capability by capability.

`commands/` gives a run file and its declaration, `report/` shows the answer. Pure: nothing is asked or started here.
"""

from envmatrix.validation.capabilities import Capability, Declared
from envmatrix.validation.findings import VALIDATION_RULES, ValidationFinding, Validity
from envmatrix.validation.validate import Validation

__all__ = ["VALIDATION_RULES", "Capability", "Declared", "Validation", "ValidationFinding", "Validity"]
