"""Room 3: live signals."""
