"""What a fixture such as `real_services` must be, and whether it is: fields, types, and what must be true behind each.

A contract is a class. `RealServices` and `RealLLM` are ours; a project extends one by subclassing it:

    class ShopServices(RealServices):
        kafka_url: str

Field names carry the meaning, so that a new field needs no code: `NAME_available` is what a ping of the service NAME
sees, `NAME_required` what the declaration says, `NAME_url` where it is, `NAME` alone its endpoint.
"""

from envmatrix.contracts.fields import Contract, RealLLM, RealServices
from envmatrix.contracts.findings import FINDING_RULES, Finding, check
from envmatrix.contracts.load import contract_classes
from envmatrix.contracts.reality import Reality, service_of, services_behind
from envmatrix.runs.events import CONTRACT_VERSION

__all__ = [
    "CONTRACT_VERSION",
    "FINDING_RULES",
    "Contract",
    "Finding",
    "RealLLM",
    "RealServices",
    "Reality",
    "check",
    "contract_classes",
    "service_of",
    "services_behind",
]
