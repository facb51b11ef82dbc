"""The port to nodes, and their operating systems."""
