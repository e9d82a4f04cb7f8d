"""The networks edgecnn can train."""
