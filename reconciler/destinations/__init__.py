"""Kinds of destination; one file, one kind, its name = the URL's protocol."""
