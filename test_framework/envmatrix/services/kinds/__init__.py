"""A module per kind of service: how to start, connect to, ping, isolate and reset it.

The supervisor starts through a kind, the plugin looks and isolates through it; `registry` finds one by its name.
"""
