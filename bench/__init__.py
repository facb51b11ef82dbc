"""Commands that measure the numbers in the documents."""
