"""`python -m smalti`."""

import sys

from smalti.cli import main

sys.exit(main())
