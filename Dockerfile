# gae-broker as a container: `docker build .` makes the image whose command is `gae-broker`, for dispatchers,
# deployments and checks; compose/ adds the sample shop (--target sample). Built by BuildKit, Docker's builder since 23.
#
#   docker build --tag gae-broker .
#   docker run --rm -e GAE_BROKER_URL=amqp://... -e GAE_BROKER_LEDGER=postgresql+psycopg://... gae-broker check
#
# Where packages come from an index of your own: --secret id=pip,src=pip.conf (its credentials stay out of the image) and,
# where that index has a private authority's certificate, --secret id=ca,src=ca.pem.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements/build.lock requirements/image.lock requirements/sample.lock requirements/
COPY --chmod=755 compose/pip-install /usr/local/bin/pip-install
RUN python -m venv /opt/builder && python -m venv --without-pip /opt/gae-broker
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    pip-install /opt/builder -r requirements/build.lock && pip-install /opt/gae-broker -r requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY gae_broker gae_broker
COPY adapters adapters
RUN /opt/builder/bin/python -m hatchling build -t wheel -d /wheels && \
    /opt/builder/bin/pip --disable-pip-version-check --python /opt/gae-broker/bin/python install --no-index --no-deps /wheels/*.whl

FROM build AS build-sample
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca pip-install /opt/gae-broker -r requirements/sample.lock

FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 gae-broker && \
    useradd --uid 10001 --gid gae-broker --no-create-home --home-dir /srv --shell /usr/sbin/nologin gae-broker && \
    install -d -o gae-broker -g gae-broker /srv /var/lib/gae-broker
ENV PATH=/opt/gae-broker/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv
USER 10001:10001
# Settings, queue.yaml, broker and ledger, as the command sees them with this container's environment.
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s CMD ["gae-broker", "check", "-q"]
ENTRYPOINT ["gae-broker"]

FROM base AS sample
COPY --from=build-sample /opt/gae-broker /opt/gae-broker
COPY tests/apps/shop shop
ENV PYTHONPATH=/srv SHOP_JOURNAL=/var/lib/gae-broker/journal.jsonl GAE_BROKER_QUEUE_YAML=/srv/shop/queue.yaml

FROM base AS runtime
COPY --from=build /opt/gae-broker /opt/gae-broker
