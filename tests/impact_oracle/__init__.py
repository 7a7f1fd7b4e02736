"""How much impact selects, and whether it misses any test: functions of public packages are broken one at a time."""
