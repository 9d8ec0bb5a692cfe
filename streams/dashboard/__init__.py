"""Pages for people who watch rollouts: what they show, as records, templates and static files."""
