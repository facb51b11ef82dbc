"""Faults that can be planted in a running lab, one at a time, and taken out again."""
