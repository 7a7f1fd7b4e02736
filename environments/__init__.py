"""The environments that ship with this repository, and the reference system that runs in them."""
