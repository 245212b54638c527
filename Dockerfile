# docker build -t hookctl .
# docker run --rm -v hookctl:/data hookctl webhook list      any command
# docker run -d -v hookctl:/data hookctl                     drains until it is stopped
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

# Roots for TLS are in the binary: nothing but the C library is needed.
FROM debian:bookworm-slim
COPY --from=build /src/target/release/hookctl /usr/local/bin/hookctl
RUN useradd --system --home-dir /data --shell /usr/sbin/nologin hookctl \
    && install -d -m 0700 -o hookctl -g hookctl /data
USER hookctl
# The log has a JSON object for each attempt, for what collects the logs of containers.
ENV HOOKCTL_DB=/data/hookctl.db HOOKCTL_LOG_FORMAT=json
VOLUME /data
ENTRYPOINT ["hookctl"]
CMD ["drain", "--watch", "-v"]
