# GenLab on a machine of your own: docker compose up. docs/hosting.md says how, docs/licences.md what is in it.
# The digest is the one that public repositories pin for this tag (2026-11); renew both together.
FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b AS build

# PyPI's torch for Linux brings 4 GB of CUDA along. For an NVIDIA GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
ARG TORCH=2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv && /venv/bin/pip install "torch==${TORCH}" --index-url "${TORCH_INDEX}"
COPY requirements.txt /tmp/requirements.txt
RUN /venv/bin/pip install --requirement /tmp/requirements.txt

FROM python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

LABEL org.opencontainers.image.title="GenLab" \
      org.opencontainers.image.description="Try, understand and share generative and language models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://huggingface.co/spaces/genlab/genlab"
RUN groupadd --gid 1000 genlab \
 && useradd --uid 1000 --gid genlab --create-home genlab \
 && install --directory --owner genlab --group genlab /weights
COPY --from=build /venv /venv
COPY . /app
WORKDIR /app
# Weights stay in the volume: GenLab's own, which it fetches at the start, and the hub's.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/weights/hub \
    GENLAB_CACHE=/weights/genlab \
    GENLAB_FETCH=true \
    GENLAB_HOST=0.0.0.0 \
    GENLAB_PORT=7860
USER 1000:1000
VOLUME /weights
EXPOSE 7860
# The first start fetches weights for some minutes.
HEALTHCHECK --start-period=10m --interval=30s --timeout=10s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:7860/health', timeout=8)"]
CMD ["python", "demo.py"]
