"""Sentence similarity: encoders on this machine, or behind a server that speaks OpenAI's API."""
