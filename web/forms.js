/* Makes texts, requests and code from the answers and fields of the search page. Pure functions: tests call them without a page
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

/* A row's score, as the command line shows it. A search by meaning shows the similarity if the metric is cosine, else the distance. */
function scoreOf(dist, metric, rank = "meaning") {
  if (rank !== "meaning") return { label: "score", value: dist, text: dist.toFixed(rank === "hybrid" ? 5 : 3) };
  const similar = metric === "cosine_distance";
  const value = similar ? 1 - dist : dist;
  return { label: similar ? "similarity" : "distance", value, text: value.toFixed(3) };
}

/* Whether even the nearest row has little to do with the words of the search. */
function isFar(rows, metric) {
  return metric === "cosine_distance" && rows.length > 0 && 1 - rows[0].$dist < 0.3;
}

/* The search for rows that resemble a row with this text: the text's first words, at most 400 characters. */
function likeText(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= 400 ? line : line.slice(0, 400).replace(/\s+\S*$/, "").replace(/[\ud800-\udbff]$/, "");
}

/* Cuts a text into parts, to mark the words of the search in it: [[part, whether to mark it], …]. Words of one letter and very frequent
 * words (EVERYWHERE) are not marked. */
const EVERYWHERE = new Set(("an and are as at be by do for from how in is it my of on or that the this to what when where which " +
  "who why with").split(" "));
function markParts(text, search) {
  const letters = /[\p{L}\p{N}]+/gu;
  const wanted = new Set((search.toLowerCase().match(letters) ?? []).filter((word) => word.length > 1 && !EVERYWHERE.has(word)));
  const parts = [];
  let end = 0;
  for (const { 0: word, index } of text.matchAll(letters)) {
    if (!wanted.has(word.toLowerCase())) continue;
    if (index > end) parts.push([text.slice(end, index), false]);
    parts.push([word, true]);
    end = index + word.length;
  }
  if (end < text.length) parts.push([text.slice(end), false]);
  return parts;
}

/* An example of a search that finds a row with this text: the text's first clause, at most 60 characters, at least two words. Returns ""
 * if the clause has one word only. */
function exampleOf(text) {
  const clause = text.trim().split(/[.,;:!?()\n\u3002\uff0c]/, 1)[0].trim();
  const short = clause.length <= 60 ? clause : clause.slice(0, 60).replace(/\s+\S*$/, "");
  return /\s/.test(short) && short.length <= 60 ? short : "";
}

/* The rankings that a namespace supports, from its metadata. The first one is its default. */
function ranksOf(facts) {
  const words = Boolean(facts?.schema?.text?.full_text_search), meaning = !facts || facts.dimensions > 0;
  const ranks = words && meaning ? ["meaning", "words", "hybrid"] : words ? ["words"] : ["meaning"];
  const usual = ranks.includes(facts?.rank) ? facts.rank : ranks[0];
  return [usual, ...ranks.filter((other) => other !== usual)];
}

/* The names of the attributes whose values one may choose from. */
function facetsOf(facts) {
  const kinds = ["string", "[]string", "bool", "int", "uint"];
  const fits = ([name, { type, filterable }]) => kinds.includes(type) && filterable !== false && name !== "id";
  return Object.entries(facts?.schema ?? {}).filter(fits).map(([name]) => name);
}

/* The filter for chosen values: [[name, value], …]. A row matches if it has, for each attribute, one of the values chosen for it. */
function filterOf(chosen, facts) {
  const of = (name) => chosen.filter(([other]) => other === name).map(([, value]) => value);
  const one = (name) => {
    const operator = String(facts?.schema?.[name]?.type).startsWith("[]") ? "Contains" : "Eq";
    const any = of(name).map((value) => [name, value === null ? "Eq" : operator, value]);
    return any.length > 1 ? ["Or", any] : any[0];
  };
  const all = [...new Set(chosen.map(([name]) => name))].map(one);
  return all.length > 1 ? ["And", all] : all[0];
}

/* The request for the best rows by this ranking. "hybrid" fuses the other two, as `dipper search` does. */
function queryOf(rank, text, limit, filter) {
  const rest = { exclude_attributes: ["vector"], ...(filter ? { filters: filter } : {}) };
  const meaning = { rank_by: ["vector", "ANN", ["Embed", text]] }, words = { rank_by: ["text", "BM25", text] };
  if (rank !== "hybrid") return { ...(rank === "words" ? words : meaning), limit, ...rest };
  const least = Math.max(limit, 50);
  return { queries: [{ ...meaning, limit: least, ...rest }, { ...words, limit: least, ...rest }], rerank_by: ["RRF"], limit };
}

/* The request that counts the rows of each value of an attribute, of at most VALUES_MAX values. */
const VALUES_MAX = 1000;
function countsOf(name, filter, facts) {
  const many = String(facts?.schema?.[name]?.type).startsWith("[]");
  return { aggregate_by: { rows: ["Count"] }, group_by: [many ? { value: ["ForEachUnique", name] } : name], limit: VALUES_MAX,
    ...(filter ? { filters: filter } : {}) };
}

/* The most frequent values of the answer to such a request: [[value, rows], …]; null: there may be more than VALUES_MAX. */
function topValues(answer, name, most) {
  if (answer.aggregation_groups.length >= VALUES_MAX) return null;
  const values = answer.aggregation_groups.map((group) => [group[name in group ? name : "value"], group.rows]);
  return values.sort((a, b) => b[1] - a[1]).slice(0, most);
}

/* The rows of an answer to one query or to fused ones. */
function rowsOf(answer) {
  return answer.rows ?? answer.results[0].rows;
}

/* Prints the code that sends this query, in the form "curl", "python" or "json". `counted`: the server asks for an API key. */
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
for row in json.load(urllib.request.urlopen(request))${request.queries ? '["results"][0]' : ""}["rows"]:
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
