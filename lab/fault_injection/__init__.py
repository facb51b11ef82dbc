"""Faults that begin when the product acts on a place, and end when the run has noticed."""
