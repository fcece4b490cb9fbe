#!/usr/bin/env node
/*
 * Writes the alerts of deploy/prometheus/alerts.yml once more, as the object of the Prometheus operator: kustomize takes no files from outside a component.
 * node scripts/prometheus-rule.mjs [--check]   --check writes nothing and exits 1 where the object is stale
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ALERTS = fileURLToPath(new URL('../deploy/prometheus/alerts.yml', import.meta.url))
const RULE = fileURLToPath(new URL('../deploy/k8s/components/monitoring/prometheus-rule.yaml', import.meta.url))

const HEAD = `# Made by "node scripts/prometheus-rule.mjs" from deploy/prometheus/alerts.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: runcast
  namespace: runcast
  labels:
    app.kubernetes.io/name: runcast
    app.kubernetes.io/part-of: runcast
spec:
`

const alerts = readFileSync(ALERTS, 'utf8')
const wanted = HEAD + alerts.replace(/^(?=.)/gm, '  ')
const isFresh = existsSync(RULE) && readFileSync(RULE, 'utf8') === wanted
if (!isFresh && process.argv[2] === '--check') {
  process.stderr.write('prometheus-rule.yaml is stale: run "node scripts/prometheus-rule.mjs"\n')
  process.exitCode = 1
} else if (!isFresh) writeFileSync(RULE, wanted)
