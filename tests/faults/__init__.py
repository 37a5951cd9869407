"""Faults at every call of every port, real kills, and everything else that goes wrong."""
