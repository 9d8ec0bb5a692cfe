"""Kafka: client configuration, topics, reading them outside any group, the embedded broker."""
