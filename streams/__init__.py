"""The edges: Kafka, ClickHouse, HTTP and the command line around the pure core."""
