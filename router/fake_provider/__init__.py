"""A fake OpenAI server whose faults are chosen by the model's name, for load tests and for rehearsing an outage."""

from router.fake_provider.exchanges import Exchange
from router.fake_provider.server import FakeProvider, serve

__all__ = ["Exchange", "FakeProvider", "serve"]
