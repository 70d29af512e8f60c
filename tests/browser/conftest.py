"""A real Chromium on the console of a real server. Console errors and foreign requests fail the test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.console_page import ConsolePage, opened
from tests.support.console_stage import AGENT, MODELS, ROUTER, bring_to_life, stored_statistics
from tests.support.serving import Served, serving
from tests.support.serving_thread import running_in_thread

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests here share the loop of the browser, and are skipped without one."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of a module. Tests use users and personas of their own.

    It must not outlive the module: other tests wait until no connection to SQLite is open in their process.
    """
    with running_in_thread(lambda: _lively(tmp_path_factory.mktemp("console"))) as served:
        yield served


@asynccontextmanager
async def _lively(folder: Path) -> AsyncIterator[Served]:
    async with serving(folder, *MODELS, router=ROUTER, agent=AGENT, console_edit=True, finds_blocking=False) as served:
        async with httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=60) as http:
            await bring_to_life(http)
            await stored_statistics(http)
        yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def console(browser: Browser, server: Served) -> AsyncIterator[ConsolePage]:
    """A signed-in page."""
    async with opened(browser, f"{server.url}/") as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as client:
        yield client
