"""A module per kind of service: how to start, connect to, ping, isolate and reset it.

The supervisor starts services through a kind, the plugin pings and isolates them; `registry` finds a kind by its name.
"""
