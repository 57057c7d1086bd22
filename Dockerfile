# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
ENV SQLX_OFFLINE=true \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY .sqlx .sqlx
COPY migrations migrations
COPY src src
# The cache of target/ may hold a build of another checkout that looks newer than this one, and cargo does not see
# that a file of .sqlx/ is new: so the crate itself, not its dependencies, is built anew each time.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    touch src/lib.rs src/main.rs \
    && cargo build --release --locked --bin roomkeeper \
    && install -D -m 0755 target/release/roomkeeper /out/roomkeeper

FROM debian:bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Roomkeeper" \
      org.opencontainers.image.description="A self-hosted rooms server" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The service's own folder; it is all that it writes to, and nothing in it has to outlive the container.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/roomkeeper
COPY --from=build /out/roomkeeper /usr/local/bin/roomkeeper
# Every address of the container; what of it is published, who runs it decides. It does not start without an access key.
ENV ROOMKEEPER_LISTEN=0.0.0.0:8080 \
    ROOMKEEPER_TLS_LISTEN=off \
    ROOMKEEPER_DATA_DIR=/var/lib/roomkeeper
USER 10001:10001
VOLUME /var/lib/roomkeeper
EXPOSE 8080
STOPSIGNAL SIGTERM
# An unready service answers within 2 s.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/roomkeeper", "health"]
ENTRYPOINT ["/usr/local/bin/roomkeeper"]
CMD ["serve"]
