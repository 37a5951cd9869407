"""The tests: one file per module, and real servers in `tests.parts`."""
