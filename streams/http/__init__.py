"""The HTTP API: rollouts and decisions for people, gateways and the tools that roll out."""
