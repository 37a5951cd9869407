"""Kinds of hook; none yet."""
