"""An MCP server of the old kind, as a program: version 2025-06-18 over stdio, without a library.

Options: `stubborn` ends neither with its input nor by SIGTERM, `bytes` writes what is not UTF-8 before it begins.
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
        # One tool a page, and the first of them twice.
        place = int(params.get("cursor", "0"))
        tools = [TOOLS[0], *TOOLS]
        more = {"nextCursor": str(place + 1)} if place + 1 < len(tools) else {}
        return {"tools": [{"name": tools[place], "inputSchema": {"type": "object"}}], **more}
    if method == "tools/call":
        return called(params["name"], params.get("arguments", {}))
    return None


def called(name, arguments):
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
