"""The embedded default: a mock broker, an in-process ClickHouse engine, a simulated gateway."""
