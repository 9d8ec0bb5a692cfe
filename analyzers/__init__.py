"""The pure core: arrays in, arrays out. No clock, no I/O, no client library."""
