"""``python -m turnout.serving``: what keeps an endpoint served on this machine."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1] == "worker":
        from turnout.serving.worker import main as work

        sys.exit(work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    if sys.argv[1] == "trial":
        from turnout.serving.trial import main as try_out

        sys.exit(try_out(sys.argv[2]))
    if sys.argv[1] == "container":
        from turnout.serving.container import main as contain

        sys.exit(contain(sys.argv[2:]))
    from turnout.serving.supervisor import main as supervise

    sys.exit(supervise(sys.argv[1]))
