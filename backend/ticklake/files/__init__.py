"""The disk: named bytes, made durable. Every durable write of the house goes through here."""
