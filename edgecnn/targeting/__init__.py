"""A model and a device: what would happen there, what can be mended in the file, and files made for it."""
