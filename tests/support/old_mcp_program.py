"""An MCP server for protocol version 2025-06-18 over stdio, without a library.

Options: `stubborn` ignores the end of its input and SIGTERM; `bytes` first writes a line that is not UTF-8.
"""

import json
import os
import signal
import sys
import time

TOOLS = ["say.it", "say_it", "grow", "deaf", "pid"]


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def result_of(method, params):
    if method == "initialize":
        information = {"name": "old", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        return {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": information}
    if method == "tools/list":
        # One tool per page, and the first tool twice.
        index = int(params.get("cursor", "0"))
        tools = [TOOLS[0], *TOOLS]
        more = {"nextCursor": str(index + 1)} if index + 1 < len(tools) else {}
        return {"tools": [{"name": tools[index], "inputSchema": {"type": "object"}}], **more}
    if method == "tools/call":
        return call_result(params["name"], params.get("arguments", {}))
    return None


def call_result(name, arguments):
    if name == "grow":
        TOOLS.append(arguments["tool"])
        send(method="notifications/tools/list_changed")
    if name == "pid":
        return {"content": [{"type": "text", "text": str(os.getpid())}]}
    if name == "deaf":
        while True:
            time.sleep(3600)
    return {"content": [{"type": "text", "text": f"{name} {json.dumps(arguments)}"}]}


def main():
    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "bytes" in sys.argv:
        sys.stdout.buffer.write(b"\xff\xfe\n")
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = result_of(message["method"], message.get("params", {}))
        if result is None:
            send(id=message["id"], error={"code": -32601, "message": "Method not found"})
        else:
            send(id=message["id"], result=result)
    while "stubborn" in sys.argv:
        time.sleep(3600)


main()
