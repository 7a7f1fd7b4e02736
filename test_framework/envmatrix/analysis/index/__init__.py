"""The fixture index of a tree: its fixtures and tests, and the fixture that answers each request.

The audit, the impact of a change and the registry of fixtures come in by `build`.
"""
