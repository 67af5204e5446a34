/* How the search page forms answers before it shows them. Pure functions: tests call them without a page
 * (tests/e2e/test_page_forms.py).
 */
"use strict";

/* Parses JSON. Whole numbers beyond 2^53 become strings of their digits: ids may be that large, and JavaScript would round them. */
function parseExactly(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const exact = (token) => (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token);
  return JSON.parse(text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, (token) => (token[0] === '"' ? token : exact(token))));
}

/* 3, "round" → "3 rounds" */
function plural(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/* 145000 → "145 KB" */
function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit++;
  }
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

function milliseconds(ms) {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/* The stages of a query that took time: [{name, ms, share}, …]; the shares add up to 1. */
function timeShares(performance) {
  const times = ["tokenize", "embed", "store", "scan"].map((name) => ({ name, ms: performance.stages_ms[name] }));
  const known = times.reduce((sum, { ms }) => sum + ms, 0);
  times.push({ name: "other", ms: Math.max(0, performance.ms - known) });
  const sum = Math.max(known, performance.ms);
  return times.filter(({ ms }) => ms > 0).map(({ name, ms }) => ({ name, ms, share: ms / sum }));
}

/* A row's score, as the command line shows it: the similarity for the cosine metric, else the distance. */
function scoreOf(dist, metric) {
  const similar = metric === "cosine_distance";
  const value = similar ? 1 - dist : dist;
  return { label: similar ? "similarity" : "distance", value, text: value.toFixed(3) };
}

/* Whether even the first row is hardly like the words. */
function isFar(rows, metric) {
  return metric === "cosine_distance" && rows.length > 0 && 1 - rows[0].$dist < 0.3;
}

/* The words of a search for rows like one with this text: at most 400 characters, whole words. */
function likeText(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= 400 ? line : line.slice(0, 400).replace(/\s+\S*$/, "").replace(/[\ud800-\udbff]$/, "");
}

/* Prints a query as a program has it: form "curl", "python" or "json". `counted`: the server asks for a key. */
function asCode(form, origin, namespace, request, counted) {
  const url = `${origin}/v2/namespaces/${encodeURIComponent(namespace)}/query`, body = JSON.stringify(request);
  if (form === "json") return JSON.stringify(request, null, 2);
  if (form === "curl") {
    const key = counted ? ' \\\n  -H "Authorization: Bearer $DIPPER_KEY"' : "";
    return `curl -s '${url}'${key} \\\n  -H 'Content-Type: application/json' \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
  }
  const key = counted ? ', "Authorization": "Bearer " + os.environ["DIPPER_KEY"]' : "";
  return `import json, os, urllib.request

query = json.loads(${JSON.stringify(body)})
request = urllib.request.Request("${url}", json.dumps(query).encode(),
                                 {"Content-Type": "application/json"${key}})
for row in json.load(urllib.request.urlopen(request))["rows"]:
    print(row["$dist"], row["id"])`;
}

/* The last `size` answers, each for `ms` milliseconds: a user who returns to earlier words sends no query. */
class Answers {
  constructor(size, ms) {
    this.size = size;
    this.ms = ms;
    this.kept = new Map();
  }

  get(key, now) {
    const found = this.kept.get(key);
    return found && now - found.at < this.ms ? found.answer : null;
  }

  put(key, answer, now) {
    this.kept.delete(key);
    this.kept.set(key, { answer, at: now });
    if (this.kept.size > this.size) this.kept.delete(this.kept.keys().next().value);
    return answer;
  }

  clear() {
    this.kept.clear();
  }
}
