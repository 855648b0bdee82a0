#!/usr/bin/env bash
# The Python service's environment: python.sh   (the path of its interpreter is printed)
#
# A venv outside of the repository, made once for each requirements.txt. The tests run `INTERPRETER -m bridge …` with
# PYTHONPATH set to integration-tests/python.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

python_prepare() {
  local venv requirements=$suite_dir/python/requirements.txt
  have python3 || install_packages python3 || return
  python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv || return
  venv=$cache_dir/python-$({ cat "$requirements"; python3 --version; } | sha256sum | cut -c1-12)
  if [[ ! -x $venv/ready/bin/python ]]; then
    say "making the Python environment"
    rm -rf "$venv"
    mkdir -p "$venv"
    # A venv cannot be moved, so a link marks it as complete.
    python3 -m venv "$venv/venv" >"$state_dir/python.log" 2>&1 &&
      "$venv/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" \
        >>"$state_dir/python.log" 2>&1 || { tail -n 10 "$state_dir/python.log" >&2; fail "no Python environment"; return; }
    ln -s venv "$venv/ready"
  fi
  echo "$venv/venv/bin/python"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  python_prepare
fi
