"""One running Airflow for all of these: it ends with the last of them, and keeps no core busy after that."""
