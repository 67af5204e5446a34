// Calls a server with turbopuffer's client for Node: node calls.mjs URL. Prints "ok" at the end.
import assert from "node:assert/strict";
import { Turbopuffer, NotFoundError, BadRequestError, UnprocessableEntityError } from "@turbopuffer/turbopuffer";

const name = "node-client";

async function write(films) {
  const written = await films.write({
    upsert_rows: [
      { id: 1, vector: [1, 0], title: "Night train", year: 1959, tags: ["rail", "thriller"], seen: new Date(0) },
      { id: 2, vector: [0, 1], title: "Cats at sea", year: 2016, good: true },
      { id: 3, vector: [1, 1], title: "Harbour", year: 1996, rating: 4.5 },
    ],
    schema: { title: "string", seen: "datetime", rating: "float", year: { type: "int", filterable: true } },
    distance_metric: "cosine_distance",
  });
  assert.equal(written.rows_affected, 3);
  assert.equal(written.rows_upserted, 3);
  assert.ok(written.billing.billable_logical_bytes_written > 0);
  const columns = await films.write({
    upsert_columns: { id: [4, 5], vector: [[2, 1], [1, 2]], title: ["Dogs", null], year: [2001, 2002] },
  });
  assert.equal(columns.rows_upserted, 2);
}

async function query(films) {
  const near = await films.query({
    rank_by: ["vector", "ANN", [1, 0]], top_k: 2, filters: ["And", [["year", "Lt", 2000], ["title", "NotEq", null]]],
    include_attributes: ["title", "year", "vector"],
  });
  assert.deepEqual(near.rows.map((row) => row.id), [1, 3]);
  assert.deepEqual(near.rows[0].vector, [1, 0]);
  assert.equal(near.rows[0].title, "Night train");
  assert.ok(Math.abs(near.rows[0].$dist) < 1e-6);
  assert.ok(near.performance.server_total_ms >= 1 && near.performance.client_total_ms > 0);
  const ordered = await films.query({ rank_by: ["year", "desc"], limit: 3, exclude_attributes: ["vector"] });
  assert.deepEqual(ordered.rows.map((row) => row.year), [2016, 2002, 2001]);
  assert.equal("vector" in ordered.rows[0], false);
  const many = await films.multiQuery({
    queries: [{ rank_by: ["vector", "ANN", [0, 1]], limit: 1 }, { rank_by: ["id", "asc"], limit: 2, filters: ["tags", "Contains", "rail"] }],
    consistency: { level: "eventual" },
  });
  assert.deepEqual(many.results.map((result) => result.rows.map((row) => row.id)), [[2], [1]]);
  assert.ok((await films.explainQuery({ rank_by: ["vector", "ANN", [1, 0]], limit: 1 })).plan_text);
  assert.equal((await films.recall({ num: 3, top_k: 2 })).avg_recall, 1);
}

async function change(films) {
  const patched = await films.write({
    patch_rows: [{ id: 2, year: 2017, good: null }], deletes: [5], return_affected_ids: true,
  });
  assert.deepEqual([patched.rows_patched, patched.patched_ids, patched.deleted_ids], [1, [2], [5]]);
  const skipped = await films.write({
    upsert_rows: [{ id: 1, vector: [0, 1], title: "Other" }], upsert_condition: ["id", "Eq", null],
  });
  assert.equal(skipped.rows_affected, 0);
  const newer = await films.write({
    upsert_rows: [{ id: 4, vector: [2, 1], year: 2003 }], upsert_condition: ["year", "Lt", { $ref_new: "year" }],
  });
  assert.equal(newer.rows_affected, 1);
  const rows = (await films.query({ rank_by: ["id", "asc"], limit: 10, include_attributes: ["year", "good"] })).rows;
  assert.deepEqual(rows.map((row) => [row.id, row.year]), [[1, 1959], [2, 2017], [3, 1996], [4, 2003]]);
  assert.equal("good" in rows[1], false);
}

async function describe(client, films) {
  assert.equal((await films.schema()).seen.type, "datetime");
  const schema = await films.updateSchema({ schema: { title: { type: "string", filterable: false } } });
  assert.equal(schema.title.filterable, false);
  await assert.rejects(films.query({ rank_by: ["id", "asc"], limit: 1, filters: ["title", "Eq", "x"] }), BadRequestError);
  const facts = await films.metadata();
  assert.equal(facts.approx_row_count, 4);
  assert.ok(new Date(facts.created_at) <= new Date());
  assert.ok(["ACCEPTED", "OK"].includes((await films.hintCacheWarm()).status));
  const names = [];
  for await (const found of client.namespaces({ prefix: name, page_size: 1 })) names.push(found.id);
  assert.deepEqual(names, [name]);
}

async function fail(films) {
  await assert.rejects(films.write({ upsert_rows: [{ id: 1, vector: [1, 2, 3] }] }), BadRequestError);
  await assert.rejects(films.write({ upsert_rows: {} }), UnprocessableEntityError);
  await films.deleteAll();
  assert.equal(await films.exists(), false);
  await assert.rejects(films.query({ rank_by: ["id", "asc"], limit: 1 }), NotFoundError);
}

for (const compression of [false, true]) {
  const client = new Turbopuffer({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0, compression });
  const films = client.namespace(name);
  assert.equal(await films.exists(), false);
  await write(films);
  await query(films);
  await change(films);
  await describe(client, films);
  await fail(films);
}
console.log("ok");
