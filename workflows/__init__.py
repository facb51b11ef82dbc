"""The core: what a switchover is. No I/O."""
