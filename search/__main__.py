"""`python -m search` is the command `sweep`."""

from search.cli.main import main

raise SystemExit(main())
