"""`python -m sparkd.cli` is sparkctl."""

import sys

from sparkd.cli import main

sys.exit(main())
