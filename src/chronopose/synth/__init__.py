"""Generated video with exact labels."""
