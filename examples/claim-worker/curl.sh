#!/bin/sh
# Claims one run with curl, tells of it, and completes it: HUB=http://127.0.0.1:8501 TOKEN=<role worker> sh curl.sh
# What it computes is the frequency of a thin uniform bar, c / 2L, and nothing more.
set -eu
: "${HUB:?the address of a hub}" "${TOKEN:?a token with the role worker}"

# path, body, and what else curl is told
post() {
  path=$1 body=$2
  shift 2
  curl -sS --fail-with-body --max-time 60 "$@" "$HUB$path" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$body"
}

# Not sent again: each claim is another one, and a job whose answer was lost comes back when its lease is over.
job=$(post /api/v2/jobs/claim '{"kind":"run","wait_s":30}')
if [ -z "$job" ]; then
  echo 'no run came within 30 s' >&2
  exit 1
fi

field() { printf '%s' "$job" | sed -E "s/.*\"$1\":\"?([^\",}]*).*/\\1/"; }
id=$(field id)
claim="\"round\":$(field round),\"token\":$(field token)"

# A post with the same n again is the same write, so curl may send each of them again.
post "/api/v2/jobs/$id/events" "{$claim,\"n\":1,\"events\":[{\"type\":\"progress\",\"percent\":50,\"phase\":\"solving\",\"message\":\"c / 2L\"}]}" --retry 5
echo

hz=$(awk -v material="$(field material)" -v length_mm="$(field height_mm)" 'BEGIN {
  young["ti-6al-4v"] = 113.8e9; density["ti-6al-4v"] = 4430
  young["al-7075-t6"] = 71.7e9; density["al-7075-t6"] = 2810
  young["steel-d2"] = 210e9; density["steel-d2"] = 7700
  printf "%.3f", sqrt(young[material] / density[material]) / (2 * length_mm / 1000)
}')

post "/api/v2/jobs/$id/events" "{$claim,\"n\":2,\"events\":[
  {\"type\":\"metric_update\",\"metric_name\":\"natural_frequency_hz\",\"value\":$hz,\"unit\":\"Hz\"},
  {\"type\":\"completed\",\"metrics_summary\":{\"natural_frequency_hz\":$hz}}]}" --retry 5
echo
