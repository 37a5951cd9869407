"""The phase restore, over real stores."""
