"""Recordings and stored windows through the same code that a worker runs; reports on them."""
