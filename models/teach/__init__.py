"""Teach it: a classifier of a person's own classes, from a handful of labelled sentences.

Nothing of a person stays in memory here: the classifier is a file that the page sends with each use.
"""
