"""JSON Schema files made from the records (`python -m understudy.schemas.generate`)."""
