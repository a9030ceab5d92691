"""`sparkctl add`: what a model's files say, the entry guessed from them, and how it is shown."""
