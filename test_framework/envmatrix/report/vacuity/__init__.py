"""The report of vacuous tests: those that pass while a service that they require is down, a module per format.

`envmatrix vacuity` comes in here.
"""
