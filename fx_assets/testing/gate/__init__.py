"""Kinds of honest bars, extremes that a gate must let through, and faults that it must find."""
