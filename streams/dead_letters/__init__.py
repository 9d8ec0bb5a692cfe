"""Records that could not be used: reading them back, and writing them to their topics again."""
