"""The explanation of one cell: what was seen, which rule decided, what to do next.

`explanation` makes the facts, `text` lays them out.
"""
