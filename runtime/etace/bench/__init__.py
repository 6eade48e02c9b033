"""How long a model takes here, backend by backend: what `etace bench` prints."""
