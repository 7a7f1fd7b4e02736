"""Run the service."""

from environments.reference.backend import main

main()
