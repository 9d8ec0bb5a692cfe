"""Personal data and secrets in texts, found by rules; gateways and workers use the same ones."""
