"""Rollouts as operators see them: the records in Kafka, and the commands that change them."""
