"""Screens that stay on the terminal and change with what sparkd does: `sparkctl status --watch` and `sparkctl top`.

terminal, keys, painter  the terminal: raw keys, the alternate screen, changed lines only
loop                     keys, resizes and news, one after the other
feed, view               what sparkd does now, from its control API, in one type
style, columns           characters and colours; rows of tables that fit the width
memory_bar, sections     what both screens show
"""
