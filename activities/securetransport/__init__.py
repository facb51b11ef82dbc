"""What SecureTransport understands and answers: scripts and admin REST API."""
