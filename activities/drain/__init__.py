"""The port that waits for clients and partners."""
