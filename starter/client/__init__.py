"""Calls of the console to Temporal."""
