"""The phase observe, over real stores."""
