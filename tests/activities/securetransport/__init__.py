"""Securetransport."""
