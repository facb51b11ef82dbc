"""One suite for the load balancer port, which every driver passes."""
