"""Devices: what each can run, how fast, in how much memory.

Here will live the profiles of devices (one TOML file each), which operators they run, what a model costs
there, and how it gets there.
"""
