"""Records of what the estate did."""
