"""Reports that a person can hand on: what a forecast is made of, how it was judged, what came."""
