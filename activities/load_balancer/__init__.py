"""The port to load balancers, their drivers, and client logins."""
