"""What is shipped: the wheel, the image, the compose file, the units."""
