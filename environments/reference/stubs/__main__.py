"""Run the stand-in."""

from environments.reference.stubs import main

main()
