"""What a home looks like after a run, whatever went wrong before or in it."""
