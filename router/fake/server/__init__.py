"""A fake OpenAI server whose faults are chosen by the model's name, for load tests and for rehearsing an outage."""

from router.fake.server.exchanges import Exchange
from router.fake.server.http_server import FakeProvider, serve

__all__ = ["Exchange", "FakeProvider", "serve"]
