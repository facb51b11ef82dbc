"""Machines with Windows: wine, and programs of their own where it lacks what Windows has."""
