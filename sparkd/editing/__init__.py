"""Edits of the catalogue's drop-ins: checked before they are written, written whole, and undone.

toml_places     finds where a TOML file sets each key
problems        a problem with its file, line, column and key
overlay         reads the catalogue as it would be with a changed file
apart           reads a catalogue in a process of its own
reader          that process
known           remembers what was read from files that have not changed
files           lists the catalogue's files; which may be edited, and by which names
diffs           the difference of two texts
masking         hides secrets in what people are shown
edits           the last edits, each with the text before and after
store           writes a drop-in and records the edit, both or neither
writer          a small process that writes for a daemon which may not
starts          texts to start a new drop-in from
notes           what is not wrong with a catalogue, but odd
"""
