-- wrk: lists the 100 sessions that have one label, any of 100,000 devices among ten million
-- sessions. Start the server with {"test": {"synthetic_sessions": 10000000, "synthetic_labels":
-- true}, "http_api": {"key": "key"}, "shards": {"count": 2}}, then:
--   wrk -t1 -c1 -d4s -s loadtest/compare/label_query.lua http://127.0.0.1:8000
local requests = {}

function init()
    local headers = { ["X-API-Key"] = "key" }
    for at = 1, 2000 do
        local device = string.format("d%07d", math.random(0, 99999))
        local body = '{"label_filter":{"key":"device","cmp":"eq","val":"' .. device .. '"}}'
        requests[at] = wrk.format("POST", "/api/connections", headers, body)
    end
end

function request()
    return requests[math.random(2000)]
end

function done(summary, latency)
    io.write(string.format("%d queries, p50 %.3f ms, p99 %.3f ms, p99.9 %.3f ms\n",
        summary.requests, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        latency:percentile(99.9) / 1000))
end
