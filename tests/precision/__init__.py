"""How many findings of each rule are right and useful, judged on public packages: what docs/precision.md says."""
