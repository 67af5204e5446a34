/* The search page: queries the server's own API when the user stops typing, and shows the rows and their cost.
 *
 * Everything from the server becomes text (textContent), never markup. At most one request is in flight: a newer one aborts the
 * older. A server that asks for keys counts queries, so on such a server the page sends a query only on Enter.
 */
"use strict";

const WAIT_MS = 300; // from the last key press to the query
const ANSWERS = 30, ANSWER_MS = 60000; // kept answers, and for how long
const STEPS = [10, 25, 50, 100]; // results shown at first, and after each press of "More results"
const HEADINGS = ["title", "name", "package"]; // a row's heading is the first of these attributes that it has

const byId = (id) => document.getElementById(id);
const form = byId("search"), words = byId("words"), picker = byId("namespace"), message = byId("message");
const results = byId("results"), cost = byId("cost"), figures = byId("figures"), stages = byId("stages"), more = byId("more");
const about = byId("about"), heard = byId("heard"), code = byId("code"), legend = byId("legend");
const keyform = byId("keyform"), key = byId("key");
const KEY = "dipper-key"; // in this tab's sessionStorage: gone with the tab

const answers = new Answers(ANSWERS, ANSWER_MS);
let facts = null; // promise of the namespace's metadata, or of null

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

function showScore(dist, metric) {
  const { label, value, text } = scoreOf(dist, metric);
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

function showRow(row, metric) {
  const item = element("li");
  item.dir = "auto";
  const heading = HEADINGS.find((name) => typeof row[name] === "string") ?? null;
  const top = element("div", undefined, "top");
  top.append(element("h2", heading ? row[heading] : String(row.id)));
  top.append(showScore(row.$dist, metric));
  item.append(top);
  if (typeof row.text === "string") item.append(element("p", row.text));
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
    shown.textContent = asCode(shown.dataset.form, location.origin, namespace, request, isCounted());
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
  if (!text || !namespace) {
    clear();
    if (namespace) say(isCounted() ? "Press Enter to search." : "Results come as you type.");
    return;
  }
  const mine = (inFlight = new AbortController());
  const request = { rank_by: ["vector", "ANN", ["Embed", text]], limit, include_attributes: true };
  const question = JSON.stringify([namespace, text, limit]);
  results.classList.add("stale");
  try {
    const known = facts;
    let answer = answers.get(question, Date.now());
    answer ??= answers.put(question, await ask(`/v2/namespaces/${encodeURIComponent(namespace)}/query`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
      signal: mine.signal,
    }), Date.now());
    const metric = (await known)?.distance_metric;
    if (mine.signal.aborted) return;
    const far = isFar(answer.rows, metric);
    say(far ? "Nothing close. These rows are the nearest." : answer.rows.length ? "" : "No rows found.");
    heard.textContent = answer.rows.length ? plural(answer.rows.length, "result") : "";
    results.classList.toggle("far", far);
    results.replaceChildren(...answer.rows.map((row) => showRow(row, metric)));
    results.classList.remove("stale");
    more.hidden = answer.rows.length < limit || step === STEPS.length - 1;
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
  history.replaceState(null, "", state.size ? `/?${state}` : "/");
  document.title = text ? `${text} – Dipper` : "Dipper";
}

async function allNamespaces() {
  const names = [];
  let cursor = "";
  do {
    const page = await ask(`/v1/namespaces?page_size=1000${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
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
    const said = await ask(`/v2/namespaces/${encodeURIComponent(namespace)}/metadata`);
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
  facts = describe();
  search();
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
  facts = describe();
  search();
});
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
