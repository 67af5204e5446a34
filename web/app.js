/* The search page: queries the server's own API when the user stops typing, and shows the rows and their cost.
 *
 * Everything from the server becomes text (textContent), never markup. At most one request is in flight: a newer one aborts the
 * older. A server that asks for keys counts queries, so on such a server the page sends a query only on Enter.
 */
"use strict";

const WAIT_MS = 300; // from the last key press to the query
const ANSWERS = 30, ANSWER_MS = 60000; // kept answers, and for how long
const STEPS = [10, 25, 50, 100]; // results shown at first, and after each press of "More results"
const VALUES = 12, EXAMPLES = 4; // values of an attribute to choose from, and examples, at most
const HEADINGS = ["title", "name", "package"]; // a row's heading is the first of these attributes that it has

const byId = (id) => document.getElementById(id);
const form = byId("search"), words = byId("words"), picker = byId("namespace"), message = byId("message");
const results = byId("results"), cost = byId("cost"), figures = byId("figures"), stages = byId("stages"), more = byId("more");
const about = byId("about"), heard = byId("heard"), code = byId("code"), legend = byId("legend");
const keyform = byId("keyform"), key = byId("key");
const narrow = byId("narrow"), ranks = byId("ranks"), attribute = byId("attribute"), examples = byId("examples");
const chosenList = byId("chosen"), valueList = byId("values");
const KEY = "dipper-key"; // in this tab's sessionStorage: gone with the tab

const answers = new Answers(ANSWERS, ANSWER_MS);
let facts = null; // promise of the namespace's metadata, or of null

let chosen = []; // [[attribute, value], …]: the filter
let rank = null; // the ranking that the user chose, or null
let inFlight = null; // AbortController of the request in progress
let timer = 0;
let step = 0;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function say(text, bad = false) {
  message.textContent = text;
  message.classList.toggle("bad", bad);
}

/* Returns the body of an answer; a failure becomes an Error with the server's message. Sends the tab's key, if it has
 * one. Shows the form for a key if the server asks for a key or refuses this one. */
async function ask(path, options = {}) {
  const shown = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(shown ? { Authorization: `Bearer ${shown}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  keyform.hidden = answer.status !== 401;
  let body = null;
  try {
    body = parseExactly(await answer.text());
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  if (!answer.ok || body === null) {
    throw Object.assign(new Error(body?.error ?? `The server answered ${answer.status}.`), { status: answer.status });
  }
  return body;
}

/* A web address of http or https as a link; everything else as text. */
function valueOf(value) {
  const text = typeof value === "string" ? value : Array.isArray(value) ? value.join(", ") : JSON.stringify(value);
  if (typeof value === "string" && /^https?:\/\//.test(value) && URL.canParse(value)) {
    const link = element("a", text.replace(/^https?:\/\//, "").replace(/\/$/, ""));
    link.href = value;
    link.rel = "noopener noreferrer";
    return link;
  }
  return document.createTextNode(text);
}

function showScore(dist, metric, by) {
  const { label, value, text } = scoreOf(dist, metric, by);
  const score = element("span", undefined, "score");
  if (label === "similarity") {
    const meter = element("meter");
    meter.max = 1;
    meter.value = Math.max(0, value);
    meter.setAttribute("aria-hidden", "true");
    score.append(meter);
  }
  score.append(element("small", label), " ", text);
  return score;
}

/* A button that searches for rows like this one, by its text. */
function moreLike(text) {
  const button = element("button", "More like this", "like");
  button.type = "button";
  button.addEventListener("click", () => {
    words.value = likeText(text);
    step = 0;
    search();
    words.focus();
  });
  return button;
}

/* The text, with the words of the search marked unless meaning alone ranks. */
function markedText(text, by) {
  const shown = element("p");
  const parts = by === "meaning" ? [[text, false]] : markParts(text, words.value);
  shown.append(...parts.map(([part, marked]) => (marked ? element("mark", part) : part)));
  return shown;
}

function showRow(row, metric, by) {
  const item = element("li");
  item.dir = "auto";
  const heading = HEADINGS.find((name) => typeof row[name] === "string") ?? null;
  const top = element("div", undefined, "top");
  top.append(element("h2", heading ? row[heading] : String(row.id)));
  top.append(showScore(row.$dist, metric, by));
  item.append(top);
  if (typeof row.text === "string") item.append(markedText(row.text, by));
  const attributes = element("dl");
  for (const [name, value] of Object.entries(row)) {
    if (name === "$dist" || name === "text" || name === heading || value === null || value === "") continue;
    if (name === "id" && !heading) continue;
    const pair = element("div"), shown = element("dd");
    shown.append(valueOf(value));
    shown.title = shown.textContent;
    pair.append(element("dt", name), shown);
    attributes.append(pair);
  }
  if (attributes.childElementCount) item.append(attributes);
  if (typeof row.text === "string") item.append(moreLike(row.text));
  item.tabIndex = -1;
  return item;
}

/* "8.1 ms · 3 rounds · 12 requests · 145 KB read", and a bar with the time of each stage. */
function showCost(performance) {
  const parts = [plural(performance.rounds, "round"), plural(performance.requests, "request"), bytes(performance.bytes) + " read"];
  figures.replaceChildren();
  figures.append(element("b", milliseconds(performance.ms)));
  for (const part of parts) figures.append(" · ", part);
  const times = timeShares(performance);
  stages.replaceChildren(...times.map(({ name, ms, share }) => {
    const part = element("i", undefined, name);
    part.style.flexGrow = share;
    part.title = `${name} ${milliseconds(ms)}`;
    return part;
  }));
  legend.replaceChildren(...times.map(({ name, ms }) => {
    const part = element("li");
    part.append(element("i", undefined, name), `${name} ${milliseconds(ms)}`);
    return part;
  }));
  cost.hidden = false;
}

/* The query on screen, for other programs. */
function showCode(namespace, request) {
  for (const shown of code.querySelectorAll("pre"))
    shown.textContent = asCode(shown.dataset.form, location.origin + location.pathname.replace(/\/$/, ""), namespace, request, isCounted());
  code.hidden = false;
}

function clear() {
  results.replaceChildren();
  results.classList.remove("stale");
  results.classList.remove("far");
  heard.textContent = "";
  cost.hidden = true;
  code.hidden = true;
  more.hidden = true;
}

/* Whether the server counts queries against a user's month. */
const isCounted = () => sessionStorage.getItem(KEY) !== null || !keyform.hidden;

async function search() {
  clearTimeout(timer);
  inFlight?.abort();
  const namespace = picker.value, text = words.value.trim(), limit = STEPS[step];
  remember(text);
  examples.hidden = Boolean(text) || !examples.childElementCount;
  if (!text || !namespace) {
    clear();
    if (namespace) say(isCounted() ? "Press Enter to search." : "Results come as you type.");
    return;
  }
  const mine = (inFlight = new AbortController());
  results.classList.add("stale");
  try {
    const known = await facts;
    if (mine.signal.aborted) return;
    const by = rankNow(known), request = queryOf(by, text, limit, filterOf(chosen, known));
    const question = JSON.stringify([namespace, request]);
    let answer = answers.get(question, Date.now());
    answer ??= answers.put(question, await ask(`v2/namespaces/${encodeURIComponent(namespace)}/query`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
      signal: mine.signal,
    }), Date.now());
    if (mine.signal.aborted) return;
    const metric = known?.distance_metric, rows = rowsOf(answer), far = by === "meaning" && isFar(rows, metric);
    say(far ? "Nothing close. These rows are the nearest." : rows.length ? "" : "No rows found.");
    heard.textContent = rows.length ? plural(rows.length, "result") : "";
    results.classList.toggle("far", far);
    results.replaceChildren(...rows.map((row) => showRow(row, metric, by)));
    results.classList.remove("stale");
    more.hidden = rows.length < limit || step === STEPS.length - 1;
    showCost(answer.performance);
    showCode(namespace, request);
  } catch (error) {
    if (error.name === "AbortError") return;
    clear();
    say(error instanceof TypeError ? "The server does not answer." : error.message, true);
  }
}

/* Puts the query into the address bar, so that users can share its URL. */
function remember(text) {
  const state = new URLSearchParams();
  if (picker.value) state.set("ns", picker.value);
  if (text) state.set("q", text);
  if (rank) state.set("rank", rank);
  for (const pair of chosen) state.append("filter", JSON.stringify(pair));
  history.replaceState(null, "", location.pathname + (state.size ? `?${state}` : ""));
  document.title = text ? `${text} – Dipper` : "Dipper";
}

/* ---- ranking and filters */

/* The ranking of the next query: the chosen one, if the namespace has it. */
function rankNow(known) {
  const ranked = ranksOf(known);
  return ranked.includes(rank) ? rank : ranked[0];
}

/* Sends a request that the user did not type; null on failure. `what` shows in the server's log. */
async function askAside(namespace, what, request) {
  try {
    return await ask(`v2/namespaces/${encodeURIComponent(namespace)}/query?for=${what}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) });
  } catch {
    return null;
  }
}

function button(text, className, press) {
  const made = element("button", text, className);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}

/* Changes the filter, and asks again. */
function choose(pairs) {
  chosen = pairs;
  step = 0;
  showChosen();
  showValues();
  search();
}

const isSame = ([name, value]) => ([other, second]) => name === other && value === second;
const without = (pair) => chosen.filter((other) => !isSame(pair)(other));

/* Each chosen value as a button that takes it away. */
function showChosen() {
  chosenList.replaceChildren(...chosen.map((pair) => {
    const item = element("li"), [name, value] = pair;
    const made = button(`${name}: ${value ?? "none"} ×`, "chosen", () => choose(without(pair)));
    made.setAttribute("aria-label", `Remove the filter ${name}: ${value ?? "none"}`);
    item.append(made);
    return item;
  }));
}

/* The most frequent values of the chosen attribute, among the rows that the filters of the other attributes let through. */
async function showValues() {
  const namespace = picker.value, name = attribute.value, known = await facts;
  if (!name) return valueList.replaceChildren();
  const others = chosen.filter(([other]) => other !== name);
  const answer = await askAside(namespace, "counts", countsOf(name, filterOf(others, known), known));
  if (picker.value !== namespace || attribute.value !== name) return undefined;
  const values = answer ? topValues(answer, name, VALUES) : [];
  if (!values) return valueList.replaceChildren(element("li", `more than ${VALUES_MAX.toLocaleString()} values`));
  return valueList.replaceChildren(...values.map(([value, count]) => {
    const item = element("li"), pair = [name, value], on = chosen.some(isSame(pair));
    const made = button(String(value ?? "none"), "value", () => choose(on ? without(pair) : [...chosen, pair]));
    made.setAttribute("aria-pressed", String(on));
    made.append(" ", element("small", count.toLocaleString()));
    item.append(made);
    return item;
  }));
}

/* Shows the rankings and attributes that the namespace has. */
function showTools(known) {
  const ranked = ranksOf(known), names = facetsOf(known);
  ranks.hidden = ranked.length < 2;
  for (const radio of ranks.querySelectorAll("input")) radio.checked = radio.value === rankNow(known);
  attribute.replaceChildren(new Option("Filter by…", ""), ...names.map((name) => new Option(name, name)));
  attribute.parentElement.hidden = names.length === 0;
  chosen = chosen.filter(([name]) => names.includes(name));
  attribute.value = chosen[0]?.[0] ?? "";
  narrow.hidden = ranks.hidden && names.length === 0;
  showChosen();
  showValues();
}

/* Questions drawn from rows that lie in some direction. They embed no text, but a server that counts queries gets none. */
async function showExamples(known) {
  const namespace = picker.value, size = known?.dimensions;
  examples.replaceChildren();
  examples.hidden = true;
  if (!size || isCounted()) return;
  const vector = Array.from({ length: size }, (_, i) => Math.sin(i + namespace.length));
  const answer = await askAside(namespace, "examples", { rank_by: ["vector", "ANN", vector], limit: 20, include_attributes: ["text"] });
  if (!answer || picker.value !== namespace) return;
  const texts = new Set(answer.rows.map((row) => exampleOf(row.text ?? "")).filter(Boolean));
  examples.append(...[...texts].slice(0, EXAMPLES).map((text) => {
    const item = element("li");
    item.append(button(text, "example", () => {
      words.value = text;
      step = 0;
      search();
    }));
    return item;
  }));
  examples.hidden = words.value.trim() !== "" || !examples.childElementCount;
}

/* Learns what the chosen namespace has. */
function enter() {
  const namespace = picker.value;
  facts = describe();
  facts.then((known) => {
    if (picker.value !== namespace) return;
    showTools(known);
    showExamples(known);
  });
}

async function allNamespaces() {
  const names = [];
  let cursor = "";
  do {
    const page = await ask(`v1/namespaces?page_size=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    names.push(...page.namespaces.map((namespace) => namespace.id));
    cursor = page.next_cursor;
  } while (cursor && names.length < 5000);
  return names;
}

/* The namespace's metadata, which the footer shows; null on failure: the query will report the fault. */
async function describe() {
  const namespace = picker.value;
  about.textContent = "";
  if (!namespace) return null;
  try {
    const said = await ask(`v2/namespaces/${encodeURIComponent(namespace)}/metadata`);
    if (picker.value === namespace)
      about.textContent = `${plural(said.approx_row_count, "row")}, ${said.dimensions} dimensions${said.model ? `, ${said.model}` : ""}`;
    return said;
  } catch {
    return null;
  }
}

/* A key that is limited to some namespaces may not list all; the page tries the one in the URL nevertheless. */
async function namesOrNamed(named) {
  try {
    return await allNamespaces();
  } catch (error) {
    if (error.status === 403 && named) return [named];
    throw error;
  }
}

async function start() {
  const wanted = new URLSearchParams(location.search);
  words.value = wanted.get("q") ?? "";
  rank = wanted.get("rank");
  chosen = wanted.getAll("filter").map(pairOf).filter(Boolean);
  say("");
  try {
    const named = wanted.get("ns");
    const names = await namesOrNamed(named);
    if (named && names.length && !names.includes(named)) names.push(named); // the query will report that it does not exist
    picker.replaceChildren(...names.map((name) => {
      const option = element("option", name);
      option.value = name;
      return option;
    }));
    if (names.includes(named)) picker.value = named;
    picker.disabled = names.length === 0;
    if (names.length === 0) {
      say("There is nothing to search yet. Add rows with");
      message.append(element("code", "dipper index NAMESPACE FILE.jsonl --root DIR"));
      return;
    }
  } catch (error) {
    say(error.message, true);
    return;
  }
  enter();
  search();
}

/* A filter of the address: ["attribute", value]; null if it is something else. */
function pairOf(text) {
  try {
    const pair = JSON.parse(text);
    return Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" ? pair : null;
  } catch {
    return null;
  }
}

/* While the server counts queries, typing alone must not send one. */
function later() {
  clearTimeout(timer);
  inFlight?.abort();
  step = 0;
  results.classList.add("stale");
  if (!isCounted() || !words.value.trim()) timer = setTimeout(search, WAIT_MS);
}

/* Up and down move through the results, Enter opens the link of one; "/" focuses the words, Escape clears them. */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const items = [...results.children];
  const at = items.indexOf(document.activeElement);
  if (event.key === "/" && document.activeElement !== words) {
    words.focus();
    words.select();
  } else if (event.key === "Escape" && document.activeElement === words) {
    words.value = "";
    search();
  } else if (event.key === "ArrowDown" && (document.activeElement === words || at >= 0)) {
    items[Math.min(at + 1, items.length - 1)]?.focus();
  } else if (event.key === "ArrowUp" && at >= 0) {
    (at ? items[at - 1] : words).focus();
  } else if (event.key === "Enter" && at >= 0 && items[at].querySelector("a")) {
    items[at].querySelector("a").click();
  } else {
    return;
  }
  event.preventDefault();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
words.addEventListener("input", later);
picker.addEventListener("change", () => {
  step = 0;
  chosen = [];
  enter();
  search();
});
narrow.addEventListener("submit", (event) => event.preventDefault());
ranks.addEventListener("change", (event) => {
  rank = event.target.value;
  step = 0;
  search();
});
attribute.addEventListener("change", showValues);
more.addEventListener("click", () => {
  step = Math.min(step + 1, STEPS.length - 1);
  search();
});
keyform.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, key.value.trim());
  answers.clear();
  key.value = "";
  start();
});
document.addEventListener("keydown", onKey);
start();
