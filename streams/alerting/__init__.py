"""Alerting: every decision into ClickHouse, and what people must know to their receivers."""
