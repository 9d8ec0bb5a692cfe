"""Real parts are killed, cut off and lied to; the tables must equal the truth all the same."""
