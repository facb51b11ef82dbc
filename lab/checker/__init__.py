"""Check a run against the records of the lab."""
