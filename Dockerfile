# One image for hubs and workers: `runcast hub`, `runcast worker`, `runcast token alice`, …
# Builds with BuildKit and with the classic builder of Docker 20.10, from package-lock.json only.
ARG NODE_IMAGE=node:24-trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY LICENSE tsconfig.json ./
COPY scripts scripts
COPY src src
COPY workers workers
# Installs the optional peers as dependencies, so that removing the development packages keeps them.
RUN node scripts/bootstrap.mjs --build \
  && npm pkg set "dependencies.openai=*" "dependencies.@aws-sdk/client-s3=*" "dependencies.@aws-sdk/lib-storage=*" \
    "dependencies.@aws-sdk/s3-request-presigner=*" "dependencies.@opentelemetry/sdk-node=*" \
  && npm pkg delete devDependencies peerDependencies \
  && npm prune --ignore-scripts --offline --no-audit --no-fund --loglevel=error
COPY deploy/image/*.mjs ./
# Modes of the clone may exclude other users. Copies only what a running program reads, and the licences.
RUN find build node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.md' -o -name '*.tsbuildinfo' \) \
    ! -iname 'licen[cs]e*' ! -iname 'notice*' ! -iname 'copying*' -delete \
  && rm -rf .runcast scripts src workers tsconfig.json package-lock.json build/.stamp.json node_modules/.package-lock.json \
  && chmod -R a+rX,go-w /app

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="runcast" \
  org.opencontainers.image.description="Live progress of long-running jobs: hub and workers" \
  org.opencontainers.image.licenses="MIT"
# The init process forwards signals to Node and reaps orphaned processes of solvers.
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
  && install -d -o 10001 -g 10001 /artifacts
WORKDIR /app
COPY --from=build /app ./
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8501 METRICS_PORT=9501 RUNCAST_NO_INSTALL=1
EXPOSE 8501 9501
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "/app/health.mjs"]
ENTRYPOINT ["tini", "--", "node", "/app/build/src/cli/main.js"]
CMD ["hub"]
