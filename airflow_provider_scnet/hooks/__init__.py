"""The verbs a DAG author uses."""
