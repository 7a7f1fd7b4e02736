"""Probes: one look at a service, bounded in time and without a heavy import.

The kinds make their pings here; the plugin asks protected paths and keeps the HTTP exchanges of a test.
"""
