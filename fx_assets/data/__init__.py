"""Versions of a feed's bars, for people."""
