"""The summary of each file that the rules read instead of its tests, cached from one run to the next.

The rules' `survey` comes in here.
"""
