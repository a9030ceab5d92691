"""`sparkctl edit`: change a drop-in with an editor; checked, shown, written and reloaded in one step."""
