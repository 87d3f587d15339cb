"""Room 1: raw market events, as received."""
