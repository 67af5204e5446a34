// k6.js: loads a server with requests that come at a steady rate: k6 run -e URL=http://127.0.0.1:8000 bench/load/k6.js
//
// Four kinds of requests come side by side, each at its own rate, whether others were answered or not: new texts to embed, texts of which
// the cache has most, hybrid searches, and writes of ten rows. RATE times all rates (default 1), DURATION says how long (default 20s).
// setup() makes the namespace and teardown() deletes it. A refusal (429 or 503) must have Retry-After; any other status but 200 fails
// the run.
import { check } from "k6";
import http from "k6/http";
import { Counter } from "k6/metrics";

const url = __ENV.URL || "http://127.0.0.1:8000";
const rate = Number(__ENV.RATE || 1);
const words = ["river", "stone", "music", "paper", "engine", "garden", "window", "silver", "market", "doctor", "planet", "bridge", "forest"];
const headers = { "Content-Type": "application/json" };
const name = `k6-${Date.now()}`;
const refused = new Counter("refused");

function scenario(exec, perSecond) {
  return { executor: "constant-arrival-rate", exec, rate: Math.max(1, Math.round(rate * perSecond)), timeUnit: "1s",
    duration: __ENV.DURATION || "20s", preAllocatedVUs: 50, maxVUs: 400 };
}

export const options = {
  scenarios: { embed: scenario("embed", 50), mix: scenario("mix", 200), search: scenario("search", 20), write: scenario("write", 10) },
  thresholds: { checks: ["rate==1"] },
  summaryTrendStats: ["med", "p(99)", "max"],
};

function text(count) {
  return Array.from({ length: count }, () => words[Math.floor(Math.random() * words.length)]).join(" ");
}

function post(path, body, kind) {
  const answer = http.post(url + path, JSON.stringify(body), { headers, tags: { kind } });
  const turnedAway = answer.status === 429 || answer.status === 503;
  if (turnedAway) refused.add(1, { kind });
  check(answer, { "answered, or refused with Retry-After": () => answer.status === 200 || (turnedAway && answer.headers["Retry-After"]) });
  return answer;
}

function rows(count) {
  const first = Math.floor(Math.random() * 2000);
  return Array.from({ length: count }, (_, i) => ({ id: (first + i) % 2000, text: text(8) }));
}

export function setup() {
  const schema = { text: { type: "string", full_text_search: true, embed: "all-MiniLM-L6-v2" } };
  const made = http.post(`${url}/v2/namespaces/${name}`, JSON.stringify({ upsert_rows: rows(200), schema, distance_metric: "cosine_distance" }),
    { headers });
  if (made.status !== 200) throw new Error(`the namespace was not made: ${made.body}`);
  return { path: `/v2/namespaces/${name}` };
}

export function embed() {
  post("/v1/embed", { text: `${text(20)} ${Math.random()}` }, "embed");
}

export function mix() {
  post("/v1/embed", { text: Math.random() < 0.8 ? `the ${words[Math.floor(Math.random() * words.length)]}` : `${text(20)} ${Math.random()}` }, "mix");
}

export function search(data) {
  const sought = text(3);
  const queries = [{ rank_by: ["vector", "ANN", ["Embed", sought]], limit: 10 }, { rank_by: ["text", "BM25", sought], limit: 10 }];
  post(`${data.path}/query`, { queries }, "search");
}

export function write(data) {
  post(data.path, { upsert_rows: rows(10) }, "write");
}

export function teardown(data) {
  http.del(url + data.path);
}
