"""The data path: tar, compress, hash and fan out; and back."""
