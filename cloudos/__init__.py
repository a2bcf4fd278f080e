"""Cloud OS: turns machines into an OpenStack cloud and keeps it alive."""
