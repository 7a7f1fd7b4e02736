"""The rules of the audit, one module a family: `EM1xx` visibility, `EM2xx` contract, `EM3xx` hygiene."""
