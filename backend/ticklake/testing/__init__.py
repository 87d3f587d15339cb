"""Fakes, a market simulator and the embedded NATS server. Each fake passes the suite of the real thing."""
