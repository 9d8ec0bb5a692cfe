"""Alerting: stores every decision in ClickHouse and notifies the receivers."""
