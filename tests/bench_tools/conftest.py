import pytest

from router.fake.server import FakeProvider


@pytest.fixture
async def provider():
    async with FakeProvider() as provider:
        yield provider
