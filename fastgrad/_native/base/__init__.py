"""What every native layer uses."""
