"""Builds a toy feature version until somebody kills it. Usage: python silver_child.py DATA_ROOT [force]."""

from __future__ import annotations

import sys

from tests.integration.silver.toy import toy_manifest

from ticklake.silver.builder import SilverFeatureBuilder

if __name__ == "__main__":
    builder = SilverFeatureBuilder(sys.argv[1])
    print("ready", flush=True)
    result = builder.build_feature_set(toy_manifest(), force="force" in sys.argv[2:])
    print(result.status, flush=True)
