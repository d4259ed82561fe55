# syntax=docker/dockerfile:1

FROM rust:1.95-slim-trixie AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package chatstore-cli \
    && cp target/release/chatstore /usr/local/bin/chatstore

FROM debian:trixie-slim
# What sslmode=verify-full checks a database server against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/chatstore /usr/local/bin/chatstore
RUN groupadd --system --gid 10001 chatstore \
    && useradd --system --uid 10001 --gid 10001 --no-create-home chatstore \
    && install --directory --owner=chatstore --group=chatstore --mode=0700 /var/lib/chatstore

# By number, so that an orchestrator can verify that it is not root.
USER 10001:10001
# A SQLite database without another name is a file of this folder.
WORKDIR /var/lib/chatstore
VOLUME /var/lib/chatstore
ENV CHATSTORE_BIND=0.0.0.0:8080
EXPOSE 8080

# The image has no HTTP client; bash opens a connection by itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${CHATSTORE_BIND##*:} && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [[ $status == 200 ]]"]

ENTRYPOINT ["chatstore"]
CMD ["serve"]
