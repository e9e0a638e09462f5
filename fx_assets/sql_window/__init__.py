"""SQL over the lake in a browser, which can read its tables and nothing else."""
