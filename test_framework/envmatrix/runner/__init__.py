"""Run the suite in each environment at once, one pytest for each, and plan the jobs that do so in CI.

The command line comes in here; the runs that result are read by the matrix.
"""
