import pytest

from router.fake.server import FakeProvider


@pytest.fixture
async def vendor():
    async with FakeProvider() as provider:
        yield provider
