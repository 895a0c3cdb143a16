"""Run and reliably stop SCNet (国家超算互联网) HPC jobs from Apache Airflow."""

__version__ = "0.2.0"
