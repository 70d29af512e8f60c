"""The vendor as a process of its own: `python -m tests.bench.vendor PORT`."""

import sys

import uvloop

from router.fake_provider import serve

if __name__ == "__main__":
    uvloop.run(serve("127.0.0.1", int(sys.argv[1])))
