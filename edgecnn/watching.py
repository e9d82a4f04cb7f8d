"""A model that watches: which source a word names, drawn scenes among them, and the eyes on it."""
