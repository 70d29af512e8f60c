"""Where a serving process begins: uvicorn calls this in each of its workers."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app_from_environment() -> FastAPI:
    """The app for the settings that the command line leaves in the environment.

    Raises as `api.app.create_app` does.
    """
    # What is imported stays, and going through it again and again took a quarter of the start. The app's lifespan
    # switches the collector on again.
    gc.disable()
    from api.app import create_app
    from api.log import configure_logging
    from config.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_json)
    return create_app(settings)
