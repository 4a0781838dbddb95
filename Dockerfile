# A Petra server. Data is in /data; every setting is a PETRA_... variable or a flag after the image's name.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# The locked dependencies first: they change less often than the code.
COPY requirements/build.txt requirements/server.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --require-hashes --requirement requirements/build.txt \
    && python -m venv --without-pip /opt/petra \
    && /opt/build/bin/python -m pip --python /opt/petra/bin/python install --only-binary :all: --require-hashes \
        --requirement requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY server server
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --check-build-dependencies --wheel-dir /opt/wheel . \
    && /opt/build/bin/python -m pip --python /opt/petra/bin/python install --no-deps --no-index /opt/wheel/*.whl
COPY deploy/healthcheck.py /opt/petra/healthcheck.py

FROM python:${PYTHON_VERSION}-slim-bookworm
# A fixed number, so that the owner of a mounted volume can be set to it.
RUN groupadd --system --gid 7475 petra \
    && useradd --system --uid 7475 --gid petra --home-dir /data --no-create-home --shell /usr/sbin/nologin petra \
    && install --directory --owner=petra --group=petra --mode=0750 /data
COPY --from=build /opt/petra /opt/petra
# docker stop kills after 10 seconds: the server must be through before.
ENV PATH=/opt/petra/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PETRA_DATA=/data \
    PETRA_GRACE_SECONDS=8 \
    PETRA_LISTEN=0.0.0.0:7475
USER 7475:7475
WORKDIR /data
VOLUME /data
EXPOSE 7475
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "/opt/petra/healthcheck.py"]
ENTRYPOINT ["petra"]
CMD ["serve"]
