"""What this host has: memory, GPU, page cache, disk."""
