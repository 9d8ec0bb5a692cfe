"""Guardrails: window rows and a policy in; evidence and a decision with its reasons out."""
