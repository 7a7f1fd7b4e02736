"""The fixture index of a tree: every fixture and test, and which fixture answers each request.

The audit, the impact of a change and the registry of fixtures ask it.
"""
