"""Kafka brokers for the tests: a container, Kafka's own jars, or one that already runs."""
