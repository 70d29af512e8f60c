"""Builds the app of a server process: uvicorn calls this in each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import garbage_collection

if TYPE_CHECKING:
    from fastapi import FastAPI


def create_app_from_environment() -> FastAPI:
    """Create the app from the settings in the environment. Raises as `api.app.create_app` does."""
    garbage_collection.pause()  # the app's lifespan resumes it
    from api.app import create_app
    from api.listening import keep_from_child_programs
    from api.log import configure_logging
    from config.settings import load_settings

    settings = load_settings()
    if settings.workers > 1:
        keep_from_child_programs()
    configure_logging(settings.log_level, as_json=settings.log_json, log_content=settings.log_content)
    return create_app(settings)
