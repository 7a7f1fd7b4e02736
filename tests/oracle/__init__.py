"""The fixture audit against pytest itself, on suites that other people wrote."""
