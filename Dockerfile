# An image with Node 24 and npm, on any Debian or Alpine.
ARG BASE=docker.io/library/node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Scripts off: the only one fetches a Node binary, and the base has one. Native parts come inside their packages.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY daemon daemon
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${BASE}
ENV NODE_ENV=production \
    XDG_CACHE_HOME=/data/.cache \
    THRDS_REPO=/data \
    THRDS_HOSTADDR=/ip4/0.0.0.0/tcp/4006 \
    THRDS_APIADDR=/ip4/0.0.0.0/tcp/6006 \
    THRDS_APIPROXYADDR=/ip4/0.0.0.0/tcp/6007
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN mkdir /data && chown 10001:10001 /data && chmod 700 /data
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
VOLUME /data
# Other hosts (libp2p), gRPC, gRPC-Web.
EXPOSE 4006 6006 6007
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["node", "/app/dist/daemon/health.js"]
ENTRYPOINT ["node", "/app/dist/daemon/main.js"]
