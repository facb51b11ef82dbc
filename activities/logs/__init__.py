"""What the clusters have recorded, and what they leave unfinished."""
