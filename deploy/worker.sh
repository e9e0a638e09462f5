#!/bin/sh
# A worker that takes runs from Celery's queue, one at a time, each in a process of its own; where
# FX_ASSETS_EXECUTOR=celery a second one takes steps. Needs the variables of deploy/celery.yaml and
# those of the platform.
#   worker.sh --hostname worker-1@%h
#   worker.sh --queues dagster-steps --hostname steps-1@%h
exec celery -A dagster_celery.app worker --queues dagster --concurrency 1 \
  --max-tasks-per-child 1 --disable-prefetch --without-gossip --without-mingle --loglevel INFO "$@"
