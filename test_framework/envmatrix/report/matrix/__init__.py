"""The report of a matrix, a module per format.

All are behind the one Protocol of `report.base`.
"""
