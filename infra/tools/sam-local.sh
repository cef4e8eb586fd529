#!/usr/bin/env bash
# Runs one function once in the container that Lambda would use, with `sam local invoke` and a file of events/, against
# the local cloud that `make up` runs.
# usage: infra/tools/sam-local.sh invoke OPERATION [EVENT.json] | stop
#
# The ordinary way is a running Docker that can pull public.ecr.aws/lambda/provided. Two fallbacks need root: where no
# daemon runs, a private one is started (without touching the machine's firewall; `stop` ends it), and where the image
# can't be pulled, one is made from Debian packages. That image has a newer C library than Lambda's own, so it can't
# show that a binary asks for too new a one; build-artifacts.sh does.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
architecture=${ARCHITECTURE:-x86_64}
image=public.ecr.aws/lambda/provided:al2023-$architecture
private=$PWD/.local/docker
packages="docker.io debootstrap iptables"

main() {
  case ${1:-} in
    invoke) invoke "${2:?which operation?}" "${3:-events/$2.json}" ;;
    stop) stop ;;
    *) sed -n 4p "$0"; exit 2 ;;
  esac
}

invoke() {
  local operation=$1 event=$2 tools=.local/tools/aws-sam-cli/bin id bridge
  [ -f "$event" ] || give_up "there is no $event"
  need_local_cloud
  need_daemon
  need_image
  infra/tools/python-tools.sh aws-sam-cli
  [ -x "target/lambda/$operation/bootstrap" ] || infra/tools/build-artifacts.sh "$operation"
  id=$(logical_id "$operation")
  bridge=$(docker network inspect bridge --format '{{range .IPAM.Config}}{{.Gateway}}{{end}}')
  export SAM_CLI_TELEMETRY=0
  "$tools/python" infra/tools/with-local-cloud.py "$operation" "$id" "$bridge" \
    "$tools/sam" local invoke "$id" --template-file .local/sam/template.yaml --event "$event" --skip-pull-image \
    --parameter-overrides "Stage=local Architecture=$architecture"
}

# The file says where it runs, and stays when the local cloud is killed.
need_local_cloud() {
  local address
  address=$(sed 's|.*//||' .local/cloud/url 2>/dev/null) || true
  { : >"/dev/tcp/${address/://}"; } 2>/dev/null || give_up "no local cloud runs: start \`make up\` in another terminal first"
}

# deposit_funds is DepositFunds in infra/areas.
logical_id() { sed -E 's/(^|_)([a-z])/\U\2/g' <<<"$1"; }

need_daemon() {
  command -v docker >/dev/null || give_up "Docker is missing: as root, apt-get install -y --no-install-recommends $packages"
  docker info >/dev/null 2>&1 && return
  export DOCKER_HOST=unix://$private/docker.sock
  docker info >/dev/null 2>&1 && return
  [ "$(id -u)" -eq 0 ] || give_up "no Docker daemon answers; start it (systemctl start docker), or run this as root"
  command -v dockerd >/dev/null || give_up "dockerd is missing: apt-get install -y --no-install-recommends $packages"
  start_daemon
}

start_daemon() {
  local attempt
  mkdir -p "$private"
  echo "Starting a private Docker daemon under .local/docker" >&2
  nohup dockerd --iptables=false --ip6tables=false --userland-proxy=true --bip 172.31.77.1/24 \
    --data-root "$private/data" --exec-root "$private/exec" --pidfile "$private/dockerd.pid" \
    --host "$DOCKER_HOST" >"$private/dockerd.log" 2>&1 &
  for attempt in {1..150}; do
    docker info >/dev/null 2>&1 && return
    kill -0 $! 2>/dev/null || break
    sleep 0.2
  done
  tail -5 "$private/dockerd.log" >&2
  give_up "the Docker daemon did not start ($attempt attempts); its log is .local/docker/dockerd.log"
}

need_image() {
  docker image inspect "$image" >/dev/null 2>&1 && return
  echo "Fetching $image" >&2
  docker pull --quiet --platform "linux/${architecture/x86_64/amd64}" "$image" >/dev/null 2>&1 && return
  [ "$(id -u)" -eq 0 ] || give_up "$image can't be pulled; as root it can be made here"
  command -v debootstrap >/dev/null || give_up "$image can't be pulled; to make it: apt-get install -y --no-install-recommends debootstrap"
  echo "It can't be fetched: making one from Debian packages (a minute)" >&2
  make_image
}

# What sam needs of it: a shell, mv and chmod. The bootstrap brings everything else.
make_image() {
  local files=$private/image
  rm -rf "$files"
  mkdir -p "$private"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$files" >"$private/debootstrap.log" 2>&1 ||
    { tail -5 "$private/debootstrap.log" >&2; give_up "debootstrap failed"; }
  tar -C "$files" -c . | docker import --change 'WORKDIR /var/task' \
    --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    - "$image" >/dev/null
  rm -rf "$files"
}

stop() {
  [ -f "$private/dockerd.pid" ] || give_up "no private Docker daemon was started"
  kill "$(cat "$private/dockerd.pid")"
}

give_up() {
  echo "sam-local: $1" >&2
  exit 1
}

main "$@"
