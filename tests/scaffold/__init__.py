"""Tests of what `init` writes, as data: from what an Engine shows to the text of every file."""
