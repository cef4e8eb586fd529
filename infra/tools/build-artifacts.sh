#!/usr/bin/env bash
# Builds what is deployed: target/lambda/OPERATION/bootstrap, with cargo-lambda, and checks that it runs on Lambda.
# usage: infra/tools/build-artifacts.sh [OPERATION…]       all operations without arguments; ARCHITECTURE=x86_64|arm64,
#        PROFILE=deployed|release: `release` is built sooner and is twice as large
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The C library of provided.al2023. A binary that asks for a newer one starts here and fails there.
newest_glibc=2.34

main() {
  local arguments=() operation operations=("$@")
  infra/tools/python-tools.sh cargo-lambda
  # cargo-lambda finds zig through the Python beside it.
  PATH=$PWD/.local/tools/cargo-lambda/bin:$PATH
  case ${ARCHITECTURE:-x86_64} in
    x86_64) arguments+=(--x86-64) ;;
    arm64) arguments+=(--arm64) ;;
    *) echo "ARCHITECTURE is x86_64 or arm64" >&2; exit 2 ;;
  esac
  # Every binary of every area, and so not the local cloud.
  [ $# -gt 0 ] || mapfile -t operations < <(all_operations)
  # With its package, so that nothing is compiled that only other areas use.
  for operation in "${operations[@]}"; do arguments+=(--package "$(package_of "$operation")" --bin "$operation"); done
  # Brokers in AWS ask for TLS and a password; development, on plain Kafka, saves itself the OpenSSL build.
  case " ${operations[*]} " in *" relay_outbox "* | *" migrate "*) arguments+=(--features maintenance/kafka-tls) ;; esac
  SQLX_OFFLINE=true cargo lambda build --profile "${PROFILE:-deployed}" --locked "${arguments[@]}"
  for operation in "${operations[@]}"; do check "$operation"; done
}

all_operations() {
  local file
  for file in functions/*/src/bin/*.rs; do basename "$file" .rs; done
}

package_of() {
  local source
  for source in functions/*/src/bin/"$1".rs; do
    [ ! -e "$source" ] || { sed -n 's/^name = "\(.*\)"/\1/p' "${source%/src/bin/*}/Cargo.toml" | head -1; return; }
  done
  # The benchmarks' own.
  echo "${1//_/-}"
}

check() {
  local bootstrap=target/lambda/$1/bootstrap needed
  # binutils names each version of the C library that the binary asks for.
  needed=$(readelf --version-info "$bootstrap" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -1)
  if [ "$(printf '%s\n' "${needed:-0}" "$newest_glibc" | sort -V | tail -1)" != "$newest_glibc" ]; then
    echo "$bootstrap needs glibc $needed; Lambda's provided.al2023 has $newest_glibc" >&2
    exit 1
  fi
  printf '%-28s %9s bytes, glibc %s\n' "$1" "$(stat -c %s "$bootstrap")" "${needed:-none}"
}

main "$@"
