"""The audit of a tree: rules, findings, what suppresses them, and the fixes that mend them.

The commands and the reports come in here: by `audit`, `findings`, `baseline`, `rules.catalog` and `fixes`.
"""
