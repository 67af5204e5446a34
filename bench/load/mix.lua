-- mix.lua: requests for wrk. Arguments: MODE [FILE]. Modes: embed, mix (80 % of a hundred texts, the rest new), bulk, write,
-- search, soak (embed, mix, search and write in turn). FILE has a vector in base 64 per line.
local words = {"river", "stone", "music", "paper", "engine", "garden", "window", "silver", "market", "doctor", "planet", "bridge", "forest",
               "harbour", "winter", "letter"}
local mode, vectors, n, thread_number = "embed", {}, 0, 0

function setup(thread)
  thread:set("thread_number", thread_number)
  thread_number = thread_number + 1
end

function init(args)
  mode = args[1] or mode
  if args[2] then
    for line in io.lines(args[2]) do vectors[#vectors + 1] = line end
  end
  math.randomseed(os.time() + 7919 * thread_number)
  n = math.random(0, 2 ^ 30) * 4096
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

local function text(least, most)
  local out = {}
  for i = 1, math.random(least, most) do out[i] = words[math.random(#words)] end
  n = n + 1
  return table.concat(out, " ") .. " " .. n
end

local kinds = {}
function kinds.embed() return wrk.format(nil, "/v1/embed", nil, '{"text":"' .. text(4, 40) .. '"}') end
function kinds.mix()
  if math.random(100) <= 20 then return kinds.embed() end
  return wrk.format(nil, "/v1/embed", nil, '{"text":"the ' .. words[math.random(10)] .. " and the " .. words[math.random(10)] .. '"}')
end
function kinds.bulk()
  local texts = {}
  for i = 1, 100 do texts[i] = '"' .. text(30, 60) .. '"' end
  return wrk.format(nil, "/v1/embed", nil, '{"texts":[' .. table.concat(texts, ",") .. "]}")
end
function kinds.search()
  local words = text(2, 4)
  return wrk.format(nil, "/v2/namespaces/n/query", nil, '{"queries":[{"rank_by":["vector","ANN",["Embed","' .. words ..
                    '"]],"limit":10},{"rank_by":["text","BM25","' .. words .. '"],"limit":10}]}')
end
function kinds.write()
  local rows = {}
  for i = 1, 10 do
    local words = text(4, 12)
    rows[i] = '{"id":' .. n % 2000 .. ',"text":"' .. words .. '","vector":"' .. vectors[n % #vectors + 1] .. '"}'
  end
  return wrk.format(nil, "/v2/namespaces/n", nil, '{"upsert_rows":[' .. table.concat(rows, ",") .. "]}")
end
local turn, turns = 0, {"embed", "mix", "search", "write"}
function kinds.soak()
  turn = turn + 1
  return kinds[turns[turn % #turns + 1]]()
end

function request() return kinds[mode]() end
