"""Teach it: classes of a visitor's own, from a handful of labelled sentences."""
