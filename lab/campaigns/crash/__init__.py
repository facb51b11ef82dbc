"""Crash tests: attack switchovers at many points, and judge every run."""
