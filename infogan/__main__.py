"""`python -m infogan` is the command `infogan`."""

import sys

from infogan.cli import main

sys.exit(main())
