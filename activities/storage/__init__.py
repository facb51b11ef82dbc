"""The port that compares the file storage of both clusters."""
