#!/usr/bin/env bash
# Installs the system packages a build or the driver tests need, and only those that are missing.
#
#   deploy/install-packages.sh rust     rustup with the stable toolchain, where apt has it
#   deploy/install-packages.sh build    a C++ compiler and libclang, for RocksDB
#   deploy/install-packages.sh python   Python with venv
#   deploy/install-packages.sh java     a JDK and Maven
#
# Ends with 0 when everything is there. Where it cannot install (no apt, no root) it says what to
# install, and ends with 1.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

has_libclang() {
  [[ -n ${LIBCLANG_PATH:-} ]] && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null && return 0
  compgen -G '/usr/lib*/libclang.so*' >/dev/null && return 0
  compgen -G '/usr/lib/*/libclang*.so*' >/dev/null && return 0
  compgen -G '/opt/homebrew/opt/llvm*/lib/libclang.dylib' >/dev/null && return 0
  [[ -e /Library/Developer/CommandLineTools/usr/lib/libclang.dylib ]]
}

missing=()
case ${1:-} in
  rust)
    purpose='to compile everything'
    command -v cargo >/dev/null || missing+=(rustup)
    ;;
  build)
    purpose='to compile RocksDB'
    command -v c++ >/dev/null || missing+=(build-essential)
    has_libclang || missing+=(clang libclang-dev)
    ;;
  python)
    purpose='for the driver tests'
    command -v python3 >/dev/null || missing+=(python3)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    ;;
  java)
    purpose='for the JDBC tests'
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    command -v mvn >/dev/null || missing+=(maven)
    ;;
  *)
    say "usage: $0 rust|build|python|java"
    exit 2
    ;;
esac

((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  say "missing $purpose: ${missing[*]} (these are Debian's names; there is no apt-get here)"
  exit 1
fi
as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo >/dev/null; then
    say "missing $purpose: install ${missing[*]} as root"
    exit 1
  fi
  as_root=(sudo)
  [[ -t 0 ]] || as_root+=(-n)
fi

say "installing ${missing[*]} $purpose: ${as_root[*]} apt-get install"
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}" >&2
}
# The package lists of a fresh machine are empty or old.
install || { "${as_root[@]}" apt-get update >&2 && install; } || {
  say "could not install ${missing[*]}: install them by hand"
  exit 1
}
if [[ $1 == rust ]]; then
  say "installing the stable toolchain: rustup default stable"
  rustup default stable >&2
fi
