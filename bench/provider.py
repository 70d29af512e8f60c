"""The fake provider as a process: `python -m bench.provider PORT`."""

import sys

import uvloop

from router.fake.server.fake_provider import serve

if __name__ == "__main__":
    uvloop.run(serve("127.0.0.1", int(sys.argv[1])))
