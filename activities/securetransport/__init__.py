"""securetransport."""
