#!/bin/sh
# Builds the Debian package below target/debian; needs cargo-deb (cargo install --locked cargo-deb).
set -eu

cd "$(dirname "$0")/.."
cargo build --release --locked --package chatstore-cli
made=target/package
rm -rf "$made"
mkdir -p "$made/man" "$made/completions"
target/release/chatstore man "$made/man" > /dev/null
target/release/chatstore completions bash > "$made/completions/chatstore"
cargo deb --locked --no-build --package chatstore-cli
