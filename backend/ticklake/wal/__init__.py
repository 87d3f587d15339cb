"""The promise: what we acked survives. Blocking code, called from one thread per log."""
