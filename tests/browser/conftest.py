"""A real Chromium on the console of a real server. Console errors and foreign requests fail the test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.console_page import ConsolePage, opened
from tests.support.console_stage import AGENT, MODELS, ROUTER, bring_to_life, stored_statistics
from tests.support.server_process import ServerProcess, running, server_in
from tests.support.serving import TOKEN

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests here share the loop of the browser, and are skipped without one."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    """One server for all tests. They use users and personas of their own.

    It is a process of its own: tests with SQLite wait until no connection is open in theirs.
    """
    router = {**ROUTER, "allowed_fails": 1000}  # the failures of one test open no breaker for another
    folder = tmp_path_factory.mktemp("console")
    server = server_in(folder, *MODELS, router=router, agent=AGENT, console_edit=True)
    async with running(server), _client_of(server) as http:
        await bring_to_life(http)
        await stored_statistics(http)
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_page(browser: Browser, server: ServerProcess) -> AsyncIterator[ConsolePage]:
    async with opened(browser, f"{server.url}/", permissions=["clipboard-read", "clipboard-write"]) as console:
        yield console


@pytest_asyncio.fixture(loop_scope="session")
async def console(shared_page: ConsolePage) -> AsyncIterator[ConsolePage]:
    """A signed-in page, as in a new tab. All tests share one, whose files the browser has read already."""
    await shared_page.begin()
    yield shared_page
    shared_page.verify()


@pytest_asyncio.fixture(loop_scope="session")
async def http(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with _client_of(server) as client:
        yield client


def _client_of(server: ServerProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
