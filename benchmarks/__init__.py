"""``make bench``: whole programs against their peers, in one run on one generated tree. Never part of the tests."""
