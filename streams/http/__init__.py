"""The HTTP application of a worker: probes, metrics, and the API for people, gateways and tools."""
