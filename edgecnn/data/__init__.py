"""Labelled images: what a data set is and how one is opened."""
