"""From an Airflow Connection to a region of SCNet."""
