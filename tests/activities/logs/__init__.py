"""Drain."""
