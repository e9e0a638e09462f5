"""What rows are about: the tables of a forecast, as far as they are about its series."""
