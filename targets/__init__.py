"""Devices: what each can run, how fast, in how much memory."""
