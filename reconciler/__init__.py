"""Declarative backups: specs in git, converged against the copies that really exist."""

__version__ = "0.1.0"
