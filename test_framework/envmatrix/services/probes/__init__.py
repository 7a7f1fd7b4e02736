"""One look at a service, bounded in time, without a heavy import.

The kinds build their pings from it; the plugin asks protected paths and keeps the exchanges of a test.
"""
