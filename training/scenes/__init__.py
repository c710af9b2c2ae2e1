"""Trains GenLab Scenes 2, the image starter that draws 256 px pictures of two hundred things."""
