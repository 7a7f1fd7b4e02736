"""A project as pytest would see it: settings, files, modules, plugins and what is installed.

The index comes in here; nothing of the project is run.
"""
