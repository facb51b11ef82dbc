"""Waits for clients and partners."""
