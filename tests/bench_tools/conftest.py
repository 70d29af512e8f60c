import pytest

from router.fake.server.fake_provider import FakeProvider


@pytest.fixture
async def provider():
    async with FakeProvider() as provider:
        yield provider
