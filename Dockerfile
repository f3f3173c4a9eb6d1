# swarmd in a container: docker build --tag swarmd .
# The base is any image with Node.js 20.19 or newer and a shell.
ARG BASE=node:20-slim

FROM ${BASE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${BASE}
WORKDIR /opt/swarmd
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/proto ./proto
COPY --from=build /src/dist ./dist
COPY --from=build /src/docker ./docker
ENV PATH=/opt/swarmd/docker:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
EXPOSE 2377
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["node", "/opt/swarmd/docker/health.mjs"]
ENTRYPOINT ["swarmd"]
CMD ["daemon"]
