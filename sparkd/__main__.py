"""`python -m sparkd` is the daemon."""

import sys

from sparkd.daemon import main

sys.exit(main())
