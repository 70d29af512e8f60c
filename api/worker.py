"""Where a serving process begins: uvicorn calls this in each of its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import garbage

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app_from_environment() -> FastAPI:
    """The app for the settings that the command line leaves in the environment.

    Raises as `api.app.create_app` does.
    """
    garbage.pause()  # until the app is built, in its lifespan
    from api.app import create_app
    from api.log import configure_logging
    from config.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_json)
    return create_app(settings)
