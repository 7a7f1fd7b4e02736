"""Processes that we start, with their ports, certificates and directories, and the removal of those left behind.

Kinds describe a process here (`launch`); the supervisor alone starts it.
"""
