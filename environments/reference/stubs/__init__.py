"""Stand-ins for services that are not under test; each says so on `/health`."""
