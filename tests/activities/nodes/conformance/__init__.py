"""What every driver of the operating-system port has to do."""
