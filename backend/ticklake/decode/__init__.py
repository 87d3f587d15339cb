"""Payloads to rows, or to the reason why not. Pure: no file, no clock, no NATS."""
