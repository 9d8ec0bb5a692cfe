"""From a topic of sides to comparisons and windows: decode, join, compare, window, commit."""
