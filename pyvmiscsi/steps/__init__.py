"""One small class a fact: `title` says it, `holds` looks, `make` brings it about, `undo` takes it back."""
