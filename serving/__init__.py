"""Serves champions over REST: what the lake holds, without Dagster, MLflow or pandas."""
