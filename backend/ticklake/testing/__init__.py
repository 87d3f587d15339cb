"""Fakes and a market simulator that ship with the package. Each passes the suite of the real thing."""
