"""What the console shows, on a terminal and as a web page."""
