"""Text, whatever it is for: its language, its words and sentences, tables of it."""
