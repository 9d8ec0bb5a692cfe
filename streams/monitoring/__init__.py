"""What a worker exposes about itself: health, readiness and metrics. HTTP serves them."""
