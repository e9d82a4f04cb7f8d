"""Where frames come from, live or not: cameras, streams, clips, folders."""
