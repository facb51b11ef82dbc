"""What drives a run: stages, waves, actions, gates, waits."""
