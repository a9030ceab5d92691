"""What a client may do: its key, its page, its limits; which program it is."""
