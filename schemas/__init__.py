"""Wire contracts: what travels between gateways, Kafka, ClickHouse and the workers.

Records only; nothing here reads a clock, a socket or a file outside this package.
"""
