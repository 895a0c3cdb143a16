"""From an Airflow Connection to SCNet."""
