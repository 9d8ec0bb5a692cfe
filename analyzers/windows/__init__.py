"""Mergeable statistics: histograms, exact moments, window sums."""
