"""Evaluators that come with the service: a sample of pairs is judged, and the records written."""
