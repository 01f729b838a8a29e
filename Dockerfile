# Build:   docker build -t sluice .
# Try:     docker run -p 10012:10012 -v sluice:/var/lib/sluice sluice dev --dir /var/lib/sluice --bind 0.0.0.0
#          It prints a password of its own; ca.pem is in the volume. Clients of this machine dial localhost:10012.
# Run:     docker run -p 10011:10011 -p 10012:10012 -v ./conf:/etc/sluice:ro -v sluice:/var/lib/sluice sluice
#          with data-dir = "/var/lib/sluice" in conf/sluice.toml; user 10001 must be able to read conf.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
# Named in Cargo.toml, so Cargo wants to see them.
COPY benches benches
# The C parts (SQLite, zstd, libdeflate, the allocator) are built from their crates with the image's own compiler.
RUN cargo build --release --locked --bin sluice

FROM debian:12-slim
# The authorities behind the Log Service's certificates.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sluice \
 && install -d -o sluice -g sluice -m 0700 /var/lib/sluice
COPY --from=build /src/target/release/sluice /usr/local/bin/sluice
COPY LICENSE /usr/share/doc/sluice/LICENSE
USER 10001
WORKDIR /var/lib/sluice
VOLUME /var/lib/sluice
EXPOSE 10011 10012
# Longer than drain-grace is needed: docker stop --time 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/sluice"]
CMD ["serve", "--config", "/etc/sluice/sluice.toml"]
