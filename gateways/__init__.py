"""What a gateway imports: sends events, routes requests, obeys decisions; knows schemas only."""
