import pytest

from router.fake_provider import FakeProvider


@pytest.fixture
async def vendor():
    async with FakeProvider() as provider:
        yield provider
