"""A fake OpenAI server whose faults are chosen by the model's name, for load tests and for rehearsing an outage."""

from router.fake.server.http_server import FakeProvider, serve
from router.fake.server.recorded_requests import RecordedRequest

__all__ = ["FakeProvider", "RecordedRequest", "serve"]
