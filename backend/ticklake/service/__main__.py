"""`python -m ticklake.service` is `ticklake serve`."""

import runpy
import sys

sys.argv.insert(1, "serve")
runpy.run_module("ticklake", run_name="__main__")
