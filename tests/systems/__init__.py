"""The rows of the five systems whose users must feel at home: each runs its example on a real Engine and ends in a restore."""
