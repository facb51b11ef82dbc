"""SSH connections, TLS and secrets."""
