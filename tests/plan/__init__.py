"""The plan: cases as data (`*.yaml`, see README.md), properties over made-up worlds, and a simulator of applying."""
