"""The daemon's read-only HTTP face."""
