"""What outlives a program or a catalogue: reload, handover to the next program, succession."""
