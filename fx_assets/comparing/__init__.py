"""What a change of code or declarations does to the forecasts: two checkouts on the same bars."""
