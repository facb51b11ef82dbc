"""One simulated SecureTransport machine: its shell, its scripts and its services."""
