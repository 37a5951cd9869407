"""The service: the process on a real remote, its sources one by one, and its times."""
