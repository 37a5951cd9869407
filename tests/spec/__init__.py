"""Tests of the spec phase."""
