"""`sparkctl ui`: the page of this machine in a browser, which cannot open the control socket by itself."""
