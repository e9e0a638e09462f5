"""What is written about the project, and what is drawn from it."""
