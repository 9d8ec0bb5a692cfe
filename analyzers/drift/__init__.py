"""Whether a model answers otherwise than it did, although its name is the same. Pure.

Periods are not randomised, so what is found is a change and never its cause: it alerts, and decides
nothing.
"""
