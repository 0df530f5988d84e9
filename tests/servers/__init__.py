"""Real servers for tests: each is started on free loopback ports, with its own configuration, and stopped again."""
