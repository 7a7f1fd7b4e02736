"""Run files and the directories that hold them: written by the plugin, read by everything that judges or shows.

A run is one environment at one commit, as JSON Lines; here is what its lines mean, and how they are read, merged and reused.
"""
