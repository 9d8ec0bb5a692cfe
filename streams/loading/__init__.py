"""ClickHouse: connecting, migrating, inserting."""
