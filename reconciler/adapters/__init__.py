"""The only modules that touch a library with effects: store, docker, git, clock."""
