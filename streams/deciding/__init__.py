"""Deciding at the edge: a Faust app that hands windows to the guardrails and emits decisions."""
