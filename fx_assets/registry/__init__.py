"""MLflow: runs, experiments, registered models and their aliases."""
