"""Show results to people and programs: a folder per thing reported, a module per format.

Commands come in here, last of all. To add a format, add a module with a `render` function to the folder
of the thing it shows, and its name to the folder's `FORMATS`. What several formats share stands beside the folders.
"""
