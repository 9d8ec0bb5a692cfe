"""Events that could not be used: which there are, and which of them are worth writing again."""
