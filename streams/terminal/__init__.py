"""What a terminal shows: tables, progress, and text from strangers made fit to print."""
