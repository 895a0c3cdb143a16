"""What goes on in Airflow's triggerer, for many tasks at once, while their workers do something else."""
