#!/usr/bin/env bash
# Java's build tool, and a Go that is new enough for the Collector: installed ones are used, missing ones come from Debian's
# packages. Sourced, never run.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# The version that the Collector's builder requires.
go_needed=1.25.0

ensure_maven() { have mvn || install_packages maven openjdk-17-jre-headless; }

# Sets go_command. Debian's Go is older than needed, and older than Go's own way to fetch a newer one; the newer one is
# published as a Go module, with its hash in the checksum database, and an old Go can fetch that like any module.
# shellcheck disable=SC2034 # read by images.sh
ensure_go() {
  have go || install_packages golang-go
  go_command=$(command -v go)
  local version
  version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
  version=${version#go}
  at_least "$version" "$go_needed" && return
  if at_least "$version" 1.21.0; then
    export GOTOOLCHAIN=go$go_needed+auto
    return
  fi
  say "go $version is too old: fetching the toolchain module for $go_needed"
  local module
  module=golang.org/toolchain@v0.0.1-go$go_needed.$(go env GOOS)-$(go env GOARCH)
  local dir
  dir=$(cd / && go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [[ -n $dir && -d $dir ]] || { fail "no toolchain module $module"; return; }
  # Module archives carry no permissions, and the module cache is read-only.
  local toolchain=$cache_dir/go-$go_needed
  if [[ ! -x $toolchain/bin/go ]]; then
    rm -rf "$toolchain.new"
    cp -R "$dir" "$toolchain.new"
    chmod -R u+w "$toolchain.new"
    find "$toolchain.new/bin" "$toolchain.new/pkg/tool" -type f -exec chmod +x {} +
    mv "$toolchain.new" "$toolchain"
  fi
  go_command=$toolchain/bin/go
  export GOROOT=$toolchain
}

# at_least HAVE WANTED
at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }
