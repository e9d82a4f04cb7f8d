"""`edgecnn camera` as a function: a source, a model, and what is done with what it sees."""
