"""Several runs side by side: tests as rows, environments as columns, and what changed between two such tables.

It reads runs only; the gate, the history and the reports ask it.
"""
