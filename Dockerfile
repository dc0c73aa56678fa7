# Two stages: the first builds exactly as anyone does, the second holds the program, its
# configuration files and the libraries it links.

FROM debian:13-slim AS build
ARG ATTIOD_BUILD=unknown
WORKDIR /src
COPY deps/install deps/install
RUN deps/install build
COPY . .
RUN cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr -DATTIOD_BUILD="$ATTIOD_BUILD" \
 && cmake --build --preset release --target attiod \
 && DESTDIR=/image cmake --install build/release --component server
# The packages of the libraries it was linked with, so that this file names none of them.
RUN ldd /image/usr/bin/attiod | awk '$3 ~ "^/" { print $3 }' | xargs readlink -f \
  | xargs dpkg -S | cut -d: -f1 | sort -u >/packages

FROM debian:13-slim
RUN --mount=from=build,source=/packages,target=/packages \
    apt-get update \
 && xargs -a /packages apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/attiod --create-home attiod
COPY --from=build /image/ /

USER attiod
ENV ATTIO_ENV=production \
    DATABASE_URL=sqlite:/var/lib/attiod/attiod.db
VOLUME /var/lib/attiod
EXPOSE 8080
# The image has no HTTP client and needs none: bash opens the socket itself. A listener with a certificate
# answers plain HTTP with 400, which shows as well that it is alive.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", "\
exec 3<>/dev/tcp/127.0.0.1/${PORT:-8080} && \
printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && \
read -r _ status _ <&3 && [ \"$status\" = \"$([ -n \"$ATTIOD_TLS_CERT\" ] && echo 400 || echo 200)\" ]"]
ENTRYPOINT ["attiod"]
CMD ["serve"]
