"""Find the contract of each fixture: ours, and those that a project declares."""

from __future__ import annotations

from importlib import import_module

from envmatrix.contracts.fields import Contract, RealLLM, RealServices
from envmatrix.environments import Project
from envmatrix.exceptions import UsageError


def contract_classes(project: Project) -> dict[str, type[Contract]]:
    """Map each fixture name to its contract class: ours, and what the project declares instead or besides.

    Raises:
        UsageError: the project names a class that cannot be imported or is no contract.
    """
    contracts: dict[str, type[Contract]] = {"real_services": RealServices, "real_llm": RealLLM}
    for fixture, path in project.contracts.items():
        module, _, name = path.partition(":")
        how = f"tool.envmatrix.contracts.{fixture} in pyproject.toml names module:Class"
        try:
            contract = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(f"the contract {path!r} cannot be imported: {error}", how) from None
        if not (isinstance(contract, type) and issubclass(contract, Contract)):
            raise UsageError(f"{path!r} is no contract: it must be a subclass of RealServices", how)
        contracts[fixture] = contract
    return contracts
