"""The port that compares the configuration of both clusters."""
