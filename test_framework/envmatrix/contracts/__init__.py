"""What a fixture such as `real_services` must be, and whether it is.

A contract is a class; each field's meaning is its metadata. `plugin/` builds and checks the values, a project subclasses:
`class ShopServices(RealServices): kafka_url: str`. A field without metadata is known by its name.
"""

from envmatrix.contracts.checks import FINDING_RULES, ContractFinding, check
from envmatrix.contracts.fields import Contract, Deferred, RealLLM, RealServices, meaning_of
from envmatrix.contracts.load import contract_classes
from envmatrix.contracts.meaning import Meaning, Role
from envmatrix.contracts.reality import Reality, services_behind
from envmatrix.runs.events import CONTRACT_VERSION

__all__ = [
    "CONTRACT_VERSION",
    "FINDING_RULES",
    "Contract",
    "ContractFinding",
    "Deferred",
    "Meaning",
    "RealLLM",
    "RealServices",
    "Reality",
    "Role",
    "check",
    "contract_classes",
    "meaning_of",
    "services_behind",
]
