"""The rules of the audit: one module a family, each with what its findings are made of.

The audit, its settings and the reports come in by `catalog`.
"""
