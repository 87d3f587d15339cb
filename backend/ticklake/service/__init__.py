"""The daemon: starts the writers, reports their health, stops them in order."""
