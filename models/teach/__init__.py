"""Teach it: a classifier of a person's own classes, from a handful of labelled sentences.

specs.py        the encoders that can be taught, and which one for which language
events.py       what is asked and what comes of it
encoder.py      the engine: sentences -> vectors -> a classifier
head.py         the linear head and how far to trust it (cross-validation)
fine_tuning.py  LoRA on the encoder, compared with the head alone on held-out sentences
header.py file.py   a taught classifier as a safetensors file, which holds no code

Nothing of a person stays here: a taught classifier is bytes that the page hands back with each use.
"""
