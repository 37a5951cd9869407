"""Kinds of notifier; none yet."""
