"""What `sparkctl requests`, `usage` and `history` share: where records are read, and how they are shown."""
