"""Name server."""
