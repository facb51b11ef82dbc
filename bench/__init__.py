"""What do the numbers in the documents rest on? Each module is a command that measures some."""
