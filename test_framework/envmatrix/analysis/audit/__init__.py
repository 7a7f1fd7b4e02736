"""The audit of a tree: rules, findings, what suppresses them, and the fixes that mend them.

The command line comes in here.
"""
