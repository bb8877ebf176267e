# One image for every part of a deployment: docker-compose.yaml starts it with other commands.
#
# The base is named by its exact version. To pin it by content, too, append the digest that
# `docker buildx imagetools inspect python:3.11.14-slim-bookworm` prints: python:3.11.14-slim-bookworm@sha256:…
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 VIRTUAL_ENV=/opt/venv
WORKDIR /src
COPY requirements.txt requirements.in ./
# Everything comes as a wheel, checked against the lock's hashes: nothing is compiled, here or later.
RUN python -m venv "$VIRTUAL_ENV" \
    && awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.txt > /tmp/uv.txt \
    && "$VIRTUAL_ENV/bin/pip" install --disable-pip-version-check --require-hashes --requirement /tmp/uv.txt
# The lock has the tools of tests, too: their lines are left out, as nobody tests in the image.
RUN sed -n '/^# Checks and tests/,$ s/^\([a-z][a-z-]*\).*/\1/p' requirements.in > /tmp/tools.txt \
    && awk 'NR == FNR { tools[$1]; next } /^[^ #]/ { split($1, pin, "=="); wanted = !(pin[1] in tools) } wanted' \
    /tmp/tools.txt requirements.txt > /tmp/image.txt \
    && "$VIRTUAL_ENV/bin/uv" pip sync --require-hashes --only-binary :all: /tmp/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY langaudio langaudio
RUN "$VIRTUAL_ENV/bin/uv" pip install --no-deps --no-build-isolation .

FROM ${BASE}
LABEL org.opencontainers.image.title="langaudio" org.opencontainers.image.licenses="Apache-2.0"
# Named by number, so that Kubernetes can see that it is not root. The group 0 may write what the user may: some
# clusters run an image as any user of that group.
RUN useradd --uid 50000 --gid 0 --home-dir /var/lib/langaudio --create-home langaudio \
    && mkdir -p /var/lib/langaudio/airflow /var/lib/langaudio/s3 \
    && chown -R 50000:0 /var/lib/langaudio \
    && chmod -R g=u /var/lib/langaudio
COPY --from=build /opt/venv /opt/venv
COPY dags /opt/langaudio/dags
COPY plugins /opt/langaudio/plugins
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LANGAUDIO_HOME=/var/lib/langaudio \
    NUMBA_CACHE_DIR=/var/lib/langaudio/numba \
    AIRFLOW_HOME=/var/lib/langaudio/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/langaudio/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/langaudio/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false
USER 50000:0
WORKDIR /var/lib/langaudio
# What a container is for decides how its health is checked: docker-compose.yaml says it for each service.
HEALTHCHECK NONE
CMD ["langaudio", "--help"]
