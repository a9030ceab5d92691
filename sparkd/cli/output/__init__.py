"""What every command prints with: messages, number formats, terminals, the status table."""
