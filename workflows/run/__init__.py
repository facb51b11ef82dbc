"""The state of one run, and what changes it."""
