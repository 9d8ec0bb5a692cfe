"""What other machines ask a worker over HTTP: health, readiness, metrics."""
