"""Where results go on the device: a recording, JSON lines, hard cases, a window, a line of status."""
