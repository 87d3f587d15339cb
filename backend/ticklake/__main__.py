"""`python -m ticklake` is `ticklake`."""

from ticklake.cli.main import run

if __name__ == "__main__":
    run()
