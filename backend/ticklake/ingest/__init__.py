"""The door: NATS in, groups of messages out."""
