"""The report of what tests did over time, a module per format.

`envmatrix history` comes in here.
"""
