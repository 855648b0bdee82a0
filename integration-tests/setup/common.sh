#!/usr/bin/env bash
# Shared paths and log functions. Sourced, never run.
set -euo pipefail

setup_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite_dir=$(dirname "$setup_dir")
# One run's state: which engine was started, which images are used, logs.
state_dir=${PROPAGATION_STATE:-$(dirname "$suite_dir")/target/integration}
# The cache between runs and checkouts; every entry is named by the hash of what it was made from.
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/propagation-integration
mkdir -p "$state_dir" "$cache_dir"

say() { printf '==> %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; return 1; }

have() { command -v "$1" >/dev/null 2>&1; }

# Installs the named Debian packages, or lists missing ones if it may not.
install_packages() {
  if ! have apt-get || [[ $(id -u) != 0 ]]; then
    fail "needed and not here: $* (installed by this script only on Debian, as root)"
    return
  fi
  say "installing $*"
  # One apt at a time: parallel steps may each need a package.
  (
    exec 9>"$state_dir/apt.lock"
    flock 9
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get install -y --no-install-recommends "$@" >"$state_dir/apt.log" 2>&1; then
      apt-get update >>"$state_dir/apt.log" 2>&1
      apt-get install -y --no-install-recommends "$@" >>"$state_dir/apt.log" 2>&1
    fi
  ) || { tail -n 20 "$state_dir/apt.log" >&2; fail "could not install $*"; }
}

# The hash of files (by name and content) and strings, as a short tag: hash_of DIR string…
hash_of() {
  local dir=$1
  shift
  {
    (cd "$dir" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum)
    printf '%s\n' "$@"
  } | sha256sum | cut -c1-12
}
