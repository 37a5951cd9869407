"""Declarative backups: specs in git, converged against the copies that really exist."""
