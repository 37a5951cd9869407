"""What happens around reading and restoring: containers that are held come back, hooks end."""
