"""Kinds of target; one file, one kind, its name = `kind:` in YAML."""
