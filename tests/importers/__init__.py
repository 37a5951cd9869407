"""Compose files of docker-volume-backup and others, and what becomes of them."""
