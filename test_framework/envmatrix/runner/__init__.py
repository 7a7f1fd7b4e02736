"""Run one pytest per environment at once, and plan the jobs that do so in CI.

The command line comes in here; the runs that result are read by the matrix.
"""
