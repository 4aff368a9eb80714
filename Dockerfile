# Both bases by the digest of their image index, so that the bytes are the same each time; the tag only says what that was.
ARG NODE=node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
ARG BASE=debian:bookworm-20260918-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251

FROM ${NODE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY adapters adapters
COPY outlets outlets
COPY sandbox sandbox
COPY clients clients
RUN npm run -s build
# What runs: no tools, no sources or types, no maps, no tests of others, and of SQLite the binary of this machine alone.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules dist -type f -regextype posix-extended \
    -regex '.*(\.map|\.[cm]?ts|\.md|\.(test|spec)\.[cm]?js|/\.[^/]+)' -delete \
  && find node_modules -type d -regextype posix-extended \
    -regex '.*node_modules/(@[^/]+/)?[^/@]+/(tests?|specs?|e2e|__tests__|\.github)' -prune -exec rm -rf {} + \
  && rm -rf node_modules/better-sqlite3/deps node_modules/better-sqlite3/src node_modules/node node_modules/.cache \
  && find node_modules/better-sqlite3/prebuilds -type f ! -name "linux-$(node -p process.arch).node" -delete \
  && mkdir /data

# Neither npm nor a compiler comes along: the base is that of the image above, with Node alone.
FROM ${BASE}
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /usr/lib/*-linux-gnu/libstdc++.so.6 /usr/lib/*-linux-gnu/libgcc_s.so.1 /usr/local/lib/
COPY --from=build /app/package.json /app/package.json
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
COPY --from=build --chown=1000:1000 /data /data
COPY config/schema.json config/bridge.example.yaml /app/config/
ENV NODE_ENV=production LD_LIBRARY_PATH=/usr/local/lib IDP_BRIDGE_CONFIG=/etc/idp-bridge/bridge.yaml \
  IDP_BRIDGE_HEALTH_URL=http://127.0.0.1:8480/healthz
WORKDIR /data
USER 1000:1000
VOLUME /data
EXPOSE 8480
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/node", "-e", "fetch(process.env.IDP_BRIDGE_HEALTH_URL, { signal: AbortSignal.timeout(4000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/local/bin/node", "/app/dist/src/main.js"]
CMD ["run"]
