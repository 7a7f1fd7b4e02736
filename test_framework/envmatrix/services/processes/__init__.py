"""Processes that we start, and what they need: ports, certificates, directories, and the sweep of what was left.

The supervisor comes in here; nothing else starts a service.
"""
