"""An example MCP server over stdio: invented weather, without a key and without a network.

It starts with `python -m agent.tools.mcp.weather_server`. In agent.yaml: `{module: agent.tools.mcp.weather_server}`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from mcp.server.mcpserver import MCPServer

WORDS: Final = (("晴", "sunny"), ("多云", "cloudy"), ("小雨", "light rain"), ("阴", "overcast"), ("有风", "windy"))

server: Final = MCPServer("weather")


@server.tool(structured_output=False)
async def get_weather(city: str) -> str:
    """The weather of a city. The figures are invented, but the same at each call."""
    chosen = sha256(city.strip().lower().encode()).digest()
    chinese, english = WORDS[chosen[0] % len(WORDS)]
    degrees = chosen[1] % 31
    if any("\u4e00" <= letter <= "\u9fff" for letter in city):
        return f"{city}：{chinese}，{degrees} °C（示例数据）"
    return f"{city}: {english}, {degrees} °C (example data)"


if __name__ == "__main__":
    server.run("stdio")
