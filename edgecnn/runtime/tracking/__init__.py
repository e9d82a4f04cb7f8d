"""Things followed from frame to frame, where they are headed, and what they do at lines and in zones."""
