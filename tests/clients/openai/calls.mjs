// Calls a server with OpenAI's client for Node: node calls.mjs URL. Prints "ok" at the end.
import assert from "node:assert/strict";
import OpenAI, { APIConnectionTimeoutError, BadRequestError, NotFoundError } from "openai";

const model = "all-MiniLM-L6-v2";
const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "none", maxRetries: 0 });

function cosine(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

async function models() {
  const ids = [];
  for await (const one of client.models.list()) ids.push(one.id);
  assert.ok(ids.includes(model));
  assert.equal((await client.models.retrieve(model)).object, "model");
  await assert.rejects(client.models.retrieve("gpt-4"), NotFoundError);
}

async function embeddings() {
  const one = await client.embeddings.create({ model, input: "keep two folders in sync" });
  assert.equal(one.object, "list");
  assert.equal(one.data[0].embedding.length, 384);
  assert.ok(one.usage.total_tokens > 5);
  // The client asks for base 64 and decodes it, unless the caller names a format.
  const many = await client.embeddings.create({
    model, input: ["keep two folders in sync", "copy files to another machine", "a violin concerto"], encoding_format: "float",
  });
  assert.deepEqual(many.data.map((item) => item.index), [0, 1, 2]);
  const [sync, copy, violin] = many.data.map((item) => item.embedding);
  assert.ok(cosine(sync, one.data[0].embedding) > 0.9999);
  assert.ok(cosine(sync, copy) > cosine(sync, violin));
  const packed = await client.embeddings.create({ model, input: "a violin concerto", encoding_format: "base64" });
  const bytes = Buffer.from(packed.data[0].embedding, "base64");
  assert.ok(cosine(Array.from({ length: 384 }, (_, i) => bytes.readFloatLE(4 * i)), violin) > 0.9999);
  const short = await client.embeddings.create({ model, input: "a violin concerto", dimensions: 64 });
  assert.equal(short.data[0].embedding.length, 64);
  assert.equal((await client.embeddings.create({ model, input: Array.from({ length: 2048 }, (_, i) => `text ${i}`) })).data.length, 2048);
}

async function failures() {
  await assert.rejects(client.embeddings.create({ model: "text-embedding-3-small", input: "x" }),
    (error) => error instanceof NotFoundError && error.code === "model_not_found" && error.param === "model");
  await assert.rejects(client.embeddings.create({ model, input: "" }), BadRequestError);
  await assert.rejects(client.embeddings.create({ model, input: "x", dimensions: 385 }), BadRequestError);
  await assert.rejects(client.embeddings.create({ model, input: Array(2049).fill("x") }), BadRequestError);
  const lost = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 }); // without "/v1"
  await assert.rejects(lost.embeddings.create({ model, input: "x" }), (error) => error.message.includes(`base URL to ${process.argv[2]}/v1`));
}

async function raw() {
  const { data, response } = await client.embeddings.create({ model, input: "x" }).withResponse();
  assert.equal(data.data.length, 1);
  assert.ok(response.headers.get("x-request-id"));
  const input = Array.from({ length: 2048 }, (_, i) => `${i} ${"word ".repeat(200)}`);
  await assert.rejects(client.embeddings.create({ model, input }, { timeout: 50 }), APIConnectionTimeoutError);
  assert.equal((await client.embeddings.create({ model, input: "x" })).data.length, 1); // the server goes on
}

await models();
await embeddings();
await failures();
await raw();
console.log("ok");
