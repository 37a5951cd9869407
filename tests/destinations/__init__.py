"""What single kinds of destination promise beyond the contract."""
