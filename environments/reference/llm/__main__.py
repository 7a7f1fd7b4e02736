"""Run the service."""

from environments.reference.llm import main

main()
