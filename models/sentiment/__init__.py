"""Sentiment: any text classifier of transformers, or a small adapter on the MiniLM encoder."""
