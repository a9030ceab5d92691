"""What runs when: the lifecycle of a model's process, the books, and the one decision procedure. No I/O, no clock."""
