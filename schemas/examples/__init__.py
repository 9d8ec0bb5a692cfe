"""Valid and invalid example payloads, shared by tests and documentation."""
