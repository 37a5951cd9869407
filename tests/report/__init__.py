"""The status: its content, its text for people, and when it is committed."""
