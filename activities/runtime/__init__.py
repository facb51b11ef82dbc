"""What every activity shares: heartbeats, deadlines, traces, partial readings."""
