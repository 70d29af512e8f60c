# syntax=docker/dockerfile:1

FROM python:3.11-slim AS build
WORKDIR /source
# Every wheel is checked against the hashes of the lock file. Only what the server needs is installed from them.
COPY requirements.lock ./
RUN pip download --no-cache-dir --no-deps --require-hashes --dest /wheels --requirement requirements.lock
COPY pyproject.toml README.md LICENSE models.yaml .env.example ./
COPY config config
COPY router router
COPY agent agent
COPY api api
RUN python -m venv /app && /app/bin/pip install --no-cache-dir --no-index --find-links /wheels .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home switchboard
COPY --from=build /app /app
# The folder of models.yaml; mount your own folder there, and changes take effect within a second.
WORKDIR /etc/switchboard
COPY models.yaml ./
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SWITCHBOARD_HOST=0.0.0.0 \
    SWITCHBOARD_PORT=8000 \
    SWITCHBOARD_DATA_DIR=/data \
    SWITCHBOARD_LOG_JSON=true
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"SWITCHBOARD_PORT\"]}/health/ready', timeout=2)"]
ENTRYPOINT ["switchboard"]
CMD ["serve"]
