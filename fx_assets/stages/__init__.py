"""What each step of the chain does, below the line of Dagster."""
