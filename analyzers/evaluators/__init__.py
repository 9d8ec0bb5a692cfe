"""Evaluators that need no judge model: what one answer says, held against another. Pure."""
