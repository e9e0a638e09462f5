#!/usr/bin/env bash
# Push both images by version and commit; prints the variables that make compose run just these.
#   deploy/push.sh ghcr.io/owner > deployment.env
set -euo pipefail
registry="${1:?say where to, such as ghcr.io/owner}"
for role in platform serving; do
  image="fx-assets-$role"
  label() { docker inspect --format "{{index .Config.Labels \"org.opencontainers.image.$1\"}}" "$image"; }
  version="$(label version)"
  commit="$(label revision)"
  for tag in "$version" "$commit"; do
    docker tag "$image" "$registry/$image:$tag"
    docker push --quiet "$registry/$image:$tag" >&2
  done
  digest="$(docker inspect --format '{{index .RepoDigests 0}}' "$registry/$image:$commit")"
  case "$role" in
    platform) echo "FX_PLATFORM_IMAGE=$digest" ;;
    serving) echo "FX_SERVER_IMAGE=$digest" ;;
  esac
done
