"""The nemesis: kills everything again and again during switchovers, and counts what it cost."""
