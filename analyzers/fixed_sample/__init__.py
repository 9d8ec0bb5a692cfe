"""The verdict on a fixed number of cases, looked at once."""
