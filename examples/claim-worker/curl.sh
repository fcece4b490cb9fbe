#!/bin/sh
# Claims one run with curl, reports on it, and completes it: HUB=http://127.0.0.1:8501 TOKEN=<role worker> sh curl.sh
# It computes only the frequency of a thin uniform bar, c / 2L.
set -eu
: "${HUB:?the URL of a hub}" "${TOKEN:?a token with the role worker}"

# path, body, further options of curl
post() {
  path=$1 body=$2
  shift 2
  curl -sS --fail-with-body --max-time 60 "$@" "$HUB$path" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$body"
}

# Not retried: each request is a new claim, and if its response is lost, the job returns when the lease expires.
job=$(post /api/v2/jobs/claim '{"kind":"run","wait_s":30}')
if [ -z "$job" ]; then
  echo 'no run within 30 s' >&2
  exit 1
fi

field() { printf '%s' "$job" | sed -E "s/.*\"$1\":\"?([^\",}]*).*/\\1/"; }
id=$(field id)
claim="\"round\":$(field round),\"token\":$(field token)"

# A report with the same n is the same write, so curl may retry it.
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
