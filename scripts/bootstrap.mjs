#!/usr/bin/env node
/*
 * Sets up a clone: node scripts/bootstrap.mjs [options]
 *
 *   (always)        installs the packages of package-lock.json, then compiles the sources to build/
 *   --build         nothing more
 *   --redis         a Redis server, unless REDIS_URL names one
 *   --redis-binary  a Redis server in any case: tests and benchmarks start their own
 *   --python        Python 3.9 or later, for tests of solvers written in Python
 *   --python-tools  tools of Python, for tests of the HTTP interface; without them these tests are skipped
 *   --calculix      CalculiX and Python, for the example solver in examples/calculix
 *   --curl          curl, for the test of a worker that is a shell script
 *   --chromium      Chromium, for tests of pages
 *   --s3-server     an S3 server, for tests of artifacts in a bucket; without Go these tests are skipped
 *   --kustomize     kubectl or kustomize, for tests of the Kubernetes manifests
 *   --promtool      promtool, for tests of metrics and alert rules
 *
 * Uses a program on PATH; if there is none, makes a private copy in .runcast/. Changes nothing outside the clone.
 * Silent and done within some tens of milliseconds if there is nothing to do. Safe to run concurrently.
 * RUNCAST_NO_INSTALL=1 forbids downloads: it then fails with the command that would have helped.
 * This file keeps to the syntax of old Node versions, so that they can print the error about their version.
 */
const major = Number(process.versions.node.split('.')[0])
if (major < 20) {
  console.error(`bootstrap: runcast needs Node 20 or later, this is ${process.versions.node}: see https://nodejs.org`)
  process.exit(1)
}
import('./steps.mjs').then((steps) => steps.bootstrap(process.argv.slice(2), process.env))
