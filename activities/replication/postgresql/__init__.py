"""The PostgreSQL driver; nothing outside this package knows what PostgreSQL has and others lack."""
