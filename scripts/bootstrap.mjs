#!/usr/bin/env node
/*
 * Makes a clone ready: node scripts/bootstrap.mjs [--build] [--redis | --redis-binary] [--python | --calculix] [--curl] [--chromium] [--kustomize] [--promtool]
 *   always          packages as in package-lock.json, then build/ as in the sources; --build says no more than that
 *   --redis         and a Redis to run, unless REDIS_URL names one
 *   --redis-binary  and a Redis to run in any case: tests and benchmarks start their own
 *   --python        and a Python 3.9 or later, for tests that run solvers written in it
 *   --calculix      and the same with CalculiX, for the example solver in examples/calculix
 *   --curl          and curl, for the test of a worker that is a shell script
 *   --chromium      and a Chromium, for the tests of pages
 *   --kustomize     and what renders the manifests of Kubernetes, for their tests
 *   --promtool      and what checks metrics and alert rules of Prometheus
 * A program on the PATH is used; where there is none, a private copy in .runcast/ is made. Nothing outside of the clone changes.
 * With nothing to do it is silent and takes some tens of milliseconds. May run several times at once.
 * RUNCAST_NO_INSTALL=1 forbids every download: it then fails with the command that would have helped.
 * This file is kept in the syntax of old Node versions, so that they can read the message about themselves.
 */
const major = Number(process.versions.node.split('.')[0])
if (major < 20) {
  console.error(`bootstrap: runcast needs Node 20 or later, this is ${process.versions.node}: see https://nodejs.org`)
  process.exit(1)
}
import('./steps.mjs').then((steps) => steps.bootstrap(process.argv.slice(2), process.env))
