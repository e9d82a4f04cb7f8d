"""A model that watches: the newest frame, the newest result, their age, and what happens when they stop."""
