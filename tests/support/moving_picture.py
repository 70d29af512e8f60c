"""Films the console for README: `python -m tests.support.moving_picture`. Needs Chromium.

An answer breaks off in mid-sentence and another deployment goes on with it; then the caller asks for a person.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.async_api import Page, async_playwright

from tests.support.serving import TOKEN, fake, serving

FILE = Path(__file__).parents[2] / "docs" / "images" / "switchboard.gif"
SIZE = {"width": 900, "height": 600}
PAUSE = 0.12
"""Seconds between two pictures."""
COLOURS = 48

PREFILL: Final = {"supports_assistant_prefill": True}
PRICES: Final = {"input_cost_per_token": 0.0000004, "output_cost_per_token": 0.0000016}
MODELS = (
    {**fake("assistant", "fake/cut?first=400ms&gap=70ms", **PRICES), "model_info": {**PREFILL, "id": "provider-a"}},
    {
        **fake("spare", "fake/echo?first=300ms&gap=70ms&tokens=43", **PRICES),
        "model_info": {**PREFILL, "id": "provider-b"},
    },
    {**fake("transfers", "fake/echo?first=300ms&gap=70ms", **PRICES), "model_info": {"id": "provider-c"}},
)
ROUTER = {"num_retries": 0, "fallbacks": [{"assistant": ["spare"]}]}
AGENT = {
    "system_prompt": "You answer the phone of a hotel.",
    "transfer_destinations": [{"number": "+14155550123", "name": "Reception"}],
}


class Film:
    """Pictures of the page with the time that each is shown, in milliseconds."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._times: list[int] = []

    async def take(self, seconds: float = PAUSE) -> None:
        picture = Image.open(io.BytesIO(await self._page.screenshot())).convert("RGB")
        if self._frames and picture.tobytes() == self._frames[-1].tobytes():
            self._times[-1] += round(seconds * 1000)
        else:
            self._frames.append(picture)
            self._times.append(round(seconds * 1000))

    async def type(self, text: str) -> None:
        for end in range(0, len(text) + 1, 3):
            await self._page.fill(".composer textarea", text[:end])
            await self.take(0.09)
        await self._page.fill(".composer textarea", text)
        await self.take(0.4)

    async def answer(self) -> None:
        await self._page.click(".composer .primary")
        while await self._page.locator("article[aria-busy=true]").count():
            await self.take()
        await self.take(2.5)

    def save(self, file: Path) -> None:
        palette = self._frames[-1].quantize(COLOURS, dither=Image.Dither.NONE)
        frames = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in self._frames]
        frames[0].save(file, save_all=True, append_images=frames[1:], duration=self._times, loop=0, optimize=True)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            serving(Path(folder), *MODELS, router=ROUTER, agent=AGENT) as server,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = await browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB")
            await page.goto(server.url)
            await page.fill("#token", TOKEN)
            await page.press("#token", "Enter")
            await page.wait_for_selector(".composer textarea")
            film = Film(page)
            await page.fill(".composer textarea", "Is our table booked for tonight?")
            await film.answer()
            await page.select_option(".bar select", "transfers")
            await film.type("Let me speak with a person, please.")
            await film.answer()
            film.save(FILE)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
