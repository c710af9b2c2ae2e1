"""Token odds: every token of an answer with what else could have come, and the next one."""
