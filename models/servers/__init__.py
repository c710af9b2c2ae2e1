"""Servers with OpenAI's API: the client, the guard against private addresses, prices."""
