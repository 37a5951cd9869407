"""The phase apply, over real stores."""
