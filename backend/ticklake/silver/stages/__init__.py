"""The stages of the built-in pipelines, one idea per file: pure functions on frames. `es_levels` lists their order."""
