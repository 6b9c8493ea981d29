"""``python -m lorafusion``: the same as the command ``lorafusion``."""

import sys

from lorafusion.cli import main

sys.exit(main())
