# The worker and the console in one image: `docker compose run --rm worker switchover plan lab ...`
FROM python:3.13-slim AS wheels
COPY requirements.lock .
RUN pip download --no-cache-dir --require-hashes --only-binary :all: --dest /wheels -r requirements.lock

FROM python:3.13-slim
WORKDIR /app
COPY pyproject.toml README.md ./
COPY workflows workflows
COPY activities activities
COPY worker worker
COPY starter starter
# Of the wheels, whose hashes were checked above, only what the worker and the console need.
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels .
RUN useradd --uid 10001 --create-home switchover && install -d -o switchover /estates /records
USER switchover
WORKDIR /home/switchover
ENV SWITCHOVER_ESTATES=/estates SWITCHOVER_RECORDS=/records SWITCHOVER_SECRETS=/secrets PYTHONUNBUFFERED=1
CMD ["python", "-m", "worker"]
