"""What the project claims, shown."""
