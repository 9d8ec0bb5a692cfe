"""What others write, read as events: batch files, logging payloads, traces, tables."""
