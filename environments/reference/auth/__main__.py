"""Run the service."""

from environments.reference.auth import main

main()
