"""Tests of the command line: every command, as a user types it."""
