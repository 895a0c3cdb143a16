"""Tasks of a pipeline."""
