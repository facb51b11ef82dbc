"""Faults that are injected into a running lab before a check, one at a time."""
