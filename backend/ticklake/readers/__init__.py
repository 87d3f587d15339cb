"""The window: how people, and later silver and gold, read the lake."""
