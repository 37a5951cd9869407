"""Real servers for the tests: each on loopback, in its own temporary folder, ended by its own pid.

`tests/conftest.py` starts them at most once a session; benchmarks and demonstrations may use them too.
Nothing here stands in for a server: a part that cannot be started raises `MissingPart`.
"""
