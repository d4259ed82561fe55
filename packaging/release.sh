#!/bin/sh
# Builds the archive of a release and its checksum below dist/:
#
#   packaging/release.sh [TARGET]
#
# TARGET is a target of rustc, like x86_64-unknown-linux-musl for a binary that needs no C library of the system;
# the machine's own when it is left out. CHATSTORE_BINARY names a binary that is built already.
set -eu

cd "$(dirname "$0")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
name="chatstore-$version-$target"

if [ -z "${CHATSTORE_BINARY:-}" ]; then
  # No paths of this machine in the binary.
  RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
  export RUSTFLAGS
  cargo build --release --locked --package chatstore-cli --target "$target"
  CHATSTORE_BINARY="${CARGO_TARGET_DIR:-target}/$target/release/chatstore"
fi

rm -rf "dist/$name" "dist/$name.tar.gz"
mkdir -p "dist/$name/completions" "dist/$name/docs" "dist/$name/man" "dist/$name/systemd"
install -m 0755 "$CHATSTORE_BINARY" "dist/$name/chatstore"
install -m 0644 README.md CHANGELOG.md SECURITY.md LICENSE-MIT LICENSE-APACHE "dist/$name"
cp -R docs/. "dist/$name/docs"
install -m 0644 packaging/systemd/* "dist/$name/systemd"
"dist/$name/chatstore" man "dist/$name/man" > /dev/null
for shell in bash zsh fish; do
  "dist/$name/chatstore" completions "$shell" > "dist/$name/completions/chatstore.$shell"
done

# The same files give the same archive: sorted, without owner, at the time of the commit.
date=$(git log -1 --format=%ct)
tar --directory dist --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w --mtime="@$date" --create "$name" \
  | gzip --no-name --best > "dist/$name.tar.gz"
rm -rf "dist/$name"
cd dist
sha256sum "$name.tar.gz" > "$name.tar.gz.sha256"
cat "$name.tar.gz.sha256"
