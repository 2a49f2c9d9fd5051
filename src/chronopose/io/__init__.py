"""Files and streams to nouns and back, one file a format. Never imports torch."""
