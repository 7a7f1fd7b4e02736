"""Smells: what in a function hides that it fails, should pytest take it for a test or a fixture.

`parse` comes in by `functions`; the other modules hold one kind of smell each.
"""
