"""What happens around reading and restoring data: hooks, and containers that are held. Used by apply and restore."""
