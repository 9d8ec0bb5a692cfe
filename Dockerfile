# The worker, without the embedded broker's database: it talks to real Kafka and ClickHouse.
FROM python:3.11-bookworm AS wheels
WORKDIR /source
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY analyzers analyzers
COPY gateways gateways
COPY streams streams
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[worker,evaluating]'

FROM python:3.11-slim-bookworm
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir /wheels/*.whl \
 && useradd --system --no-create-home --uid 10001 understudy
USER understudy
WORKDIR /tmp
ENTRYPOINT ["understudy"]
CMD ["worker"]
