"""Measures taken on one pair: text, JSON, tool calls, language, latency, cost; each one file."""
